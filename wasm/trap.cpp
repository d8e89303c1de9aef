// Ends every way in which the C and C++ runtimes give up in a trap. Without these, libc++ pulls in
// stdio and with it imports from the host.

#include <cstddef>

extern "C" {
[[noreturn]] void abort() { __builtin_trap(); }
[[noreturn]] void __assert_fail(const char*, const char*, int, const char*) { __builtin_trap(); }
[[noreturn]] void exit(int) { __builtin_trap(); }
[[noreturn]] void _Exit(int) { __builtin_trap(); }
}

_LIBCPP_BEGIN_NAMESPACE_STD
[[noreturn]] void __libcpp_verbose_abort(const char*, ...) { __builtin_trap(); }
_LIBCPP_END_NAMESPACE_STD
