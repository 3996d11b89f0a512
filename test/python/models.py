"""Small models for the tests of the package, as ONNX text."""


def make_text(signature: str, body: str, opset: int = 21) -> bytes:
    """Returns a model's bytes: make_text("(float[n] x) => (float[n] y)", "y = Relu(x)")."""
    return f'<ir_version: 8, opset_import: ["" : {opset}]>\ng {signature} {{ {body} }}'.encode()


SUM = make_text("(float[n, 3] left, float[n, 3] right) => (float[n, 3] total, float[n, 3] gap)", "total = Add(left, right)\ngap = Sub(left, right)")
UNKNOWN = make_text("(float[2] x) => (float[2] y)", "a = Frobnicate(x)\ny = Grumble(a)")
# Long enough to be caught running: some millions of multiply-adds.
HEAVY = make_text("(float[n, n] x) => (float[n, n] y)", "a = MatMul(x, x)\nb = Tanh(a)\nc = MatMul(b, b)\ny = Tanh(c)")
