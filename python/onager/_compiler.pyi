"""The compiler. Use onager.compile."""

def compile(path: str, data: bytes, output: str, options: list[tuple[str, str]], operators: list[int]) -> tuple[int, str, str, str]:
    """Compiles `data`, or the file at `path` where it is empty, to `output`.

    `operators` are custom operators by address, as _runtime.operators lists them.
    Returns exit status, error text, report (JSON) and IR or LLVM text where an option asked for it. Releases the GIL.
    """
