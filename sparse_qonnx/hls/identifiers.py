"""Names of layers and tensors as C++ identifiers and comments: nothing from a file reaches the code unescaped."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sparse_qonnx.naming import Names

_KEYWORD_LIST = """alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t class
    compl concept const const_cast constexpr continue decltype default delete do double dynamic_cast else enum explicit
    export extern false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr
    operator or or_eq private protected public register reinterpret_cast requires return short signed sizeof static
    static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename union
    unsigned using virtual void volatile wchar_t while xor xor_eq
    main std assert null eof errno inline isnan isinf signbit stdin stdout stderr major minor linux unix i
    sparse_qonnx ap_int ap_uint ap_fixed ap_ufixed"""
# Types that the C and POSIX headers put in the global namespace, without their `_t`.
_TYPE_STEM_LIST = """blkcnt blkcnt64 blksize caddr char16 char32 clock clockid comparison_fn cpu_set daddr dev
    div double error femode fenv fexcept float fpos fpos64 fsblkcnt fsfilcnt fsid gid id ino int8 int16 int32
    int64 int_fast8 int_fast16 int_fast32 int_fast64 int_least8 int_least16 int_least32 int_least64 intmax
    intptr key ldiv lldiv locale loff max_align mbstate mode nlink nullptr off off64 pid pthread pthread_attr
    pthread_barrier pthread_cond pthread_key pthread_mutex pthread_once pthread_rwlock pthread_spinlock
    ptrdiff quad register sigset size ssize suseconds time timer u_int8 u_int16 u_int32 u_int64 u_quad uid
    uint8 uint16 uint32 uint64 uint_fast8 uint_fast16 uint_fast32 uint_fast64 uint_least8 uint_least16
    uint_least32 uint_least64 uintmax uintptr useconds va_list value wchar wctrans wctype wint"""
_RESERVED = frozenset((*_KEYWORD_LIST.split(), *_TYPE_STEM_LIST.split()))
_MAX_LENGTH = 60


def is_type(name: str) -> bool:
    """Whether the C and POSIX headers have a type of that name."""
    return name.endswith("_t") and name.removesuffix("_t") in _RESERVED


def identifier(name: str) -> str:
    """A C++ (and Verilog, and Tcl) identifier close to `name`: ASCII letters, digits and single underscores."""
    text = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:_MAX_LENGTH].rstrip("_")
    if not text or text[0].isdigit():
        text = f"n{text}"
    if text.isupper():  # macros are
        text = text.lower()
    return f"{text}_v" if text.lower() in _RESERVED else text


class Namer(Names):
    """Hands out distinct identifiers; names that differ only in case stay apart too, for file systems and Verilog."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        super().__init__(reserved, spelling=identifier, key=str.lower, first=2)


def comment(text: str) -> str:
    """`text` for a `//` comment: printable ASCII without line ends, backslashes or trigraphs."""
    return re.sub(r"[^ -~]|[\\?]", "_", text)
