// The tile registers of AMX: the system gives a process their state, 8 KiB for each thread that uses them, when it asks.
#ifndef ONAGER_RUNTIME_CORE_AMX_H
#define ONAGER_RUNTIME_CORE_AMX_H

#include <string>

namespace onager::rt {

/// The required features of code that multiplies tiles of bytes, and of bf16.
constexpr char kAmxFeature[] = "amx-int8", kAmxBf16Feature[] = "amx-bf16";

/// True where the processor multiplies tiles of bytes, or of bf16.
bool hasAmx();
bool hasAmxBf16();
/// True where it does one of both, and the system has their state for processes that ask.
bool isAmxSupported();
/// Asks the system to let this process use tiles, in all its threads, those that run already included. Returns an empty string where it may, else the
/// system's reason: it has no such state, or a thread's stack for signals is too small for it. Stacks that are set later must have room for it, too; so ask
/// only where tiles are used. Thread-safe; asking twice is harmless.
std::string requestAmx();

} // namespace onager::rt

#endif
