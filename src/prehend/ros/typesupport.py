"""Message classes for rclpy without generated code: enough to publish and to receive a type as bytes.

A machine that has rclpy as wheels has no generator for messages. rclpy asks a message class for a
`rosidl_message_type_support_t` (rosidl_runtime_c) and four converter capsules. When a type only travels as bytes
(`publish(bytes)`, `raw=True`) the converters are never called, and the middleware needs no more than the type's name,
its hash (REP 2016) and that its size is unbounded. So the structure can be filled in with ctypes.

Layouts: rosidl_runtime_c/message_type_support_struct.h, rosidl_runtime_c/type_description/*.h and
rosidl_typesupport_fastrtps_cpp/message_type_support.h, as of ROS 2 Humble to Kilted (older ones read fewer fields).

It stays ours: no package makes message classes without a generator.
"""

import contextlib
import ctypes
from typing import Any

_IDENTIFIER = b"rosidl_typesupport_fastrtps_c"
_SUPPORT_CAPSULE = b"rosidl_message_type_support_t"
_NEVER_CALLED = 1
"""Address of the converters. rclpy wants them not to be None, and calls them for Python messages only."""

_KEEP: list[Any] = []
"""The middleware holds pointers into these objects until the process ends."""

_SerializedSize = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
_MaxSerializedSize = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.POINTER(ctypes.c_char))
_Getter = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_Serialize = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)


class _TypeHash(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint8), ("value", ctypes.c_uint8 * 32)]


class _Sequence(ctypes.Structure):
    """A string or a sequence: data, size, capacity."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("capacity", ctypes.c_size_t)]


class _TypeDescription(ctypes.Structure):
    _fields_ = [("type_name", _Sequence), ("fields", _Sequence), ("referenced", _Sequence)]


class _Callbacks(ctypes.Structure):
    _fields_ = [
        ("namespace", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("serialize", _Serialize),
        ("deserialize", _Serialize),
        ("serialized_size", _SerializedSize),
        ("max_serialized_size", _MaxSerializedSize),
        ("key_callbacks", ctypes.c_void_p),
    ]


class _TypeSupport(ctypes.Structure):
    _fields_ = [
        ("identifier", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("handle", ctypes.c_void_p),
        ("type_hash", _Getter),
        ("description", _Getter),
        ("sources", _Getter),
    ]


@_Serialize
def _refuse(_message: int, _cdr: int) -> bool:
    """The middleware reports an error when somebody publishes anything but bytes."""
    return False


@_SerializedSize
def _no_size(_message: int) -> int:
    return 0


@_MaxSerializedSize
def _unbounded(bounds: Any) -> int:
    bounds[0] = b"\0"  # neither bounded nor plain
    return 0


def _getter(structure: ctypes.Structure) -> Any:
    address = ctypes.addressof(structure)
    return _Getter(lambda _support: address)


def _type_support(type_name: str, rihs01: str) -> _TypeSupport:
    package, kind, name = type_name.split("/")
    callbacks = _Callbacks(f"{package}::{kind}".encode(), name.encode(), _refuse, _refuse, _no_size, _unbounded, None)
    type_hash = _TypeHash(1, (ctypes.c_uint8 * 32).from_buffer_copy(bytes.fromhex(rihs01.removeprefix("RIHS01_"))))
    text = ctypes.create_string_buffer(type_name.encode())
    description = _TypeDescription(_Sequence(ctypes.addressof(text), len(type_name), len(type_name) + 1))
    sources = _Sequence()
    getters = [_getter(structure) for structure in (type_hash, description, sources)]
    handle = ctypes.CDLL("librosidl_runtime_c.so").get_message_typesupport_handle_function
    support = _TypeSupport(
        _IDENTIFIER, ctypes.addressof(callbacks), ctypes.cast(handle, ctypes.c_void_p).value, *getters
    )
    _KEEP.append((callbacks, type_hash, text, description, sources, getters, support))
    return support


def _capsule(address: int, name: bytes | None) -> object:
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(address, name, None)


def bytes_only_class(type_name: str, rihs01: str) -> type:
    """A message class that rclpy takes for publishers of bytes and for raw subscriptions.

    Args:
        type_name: "package/msg/Name".
        rihs01: hash of the type's description, "RIHS01_" and 64 hexadecimal digits.
    """
    support = _type_support(type_name, rihs01)
    converter = _capsule(_NEVER_CALLED, None)
    metaclass = type(
        "BytesOnly",
        (type,),
        {
            "_TYPE_SUPPORT": _capsule(ctypes.addressof(support), _SUPPORT_CAPSULE),
            "_CREATE_ROS_MESSAGE": converter,
            "_CONVERT_FROM_PY": converter,
            "_CONVERT_TO_PY": converter,
            "_DESTROY_ROS_MESSAGE": converter,
            "__import_type_support__": classmethod(lambda _cls: None),
        },
    )
    package, _, name = type_name.split("/")
    return metaclass(name, (), {"__module__": f"{package}.msg"})


def forget_error() -> None:
    """Drop the error that rcl leaves in this thread after it made something of a bytes-only class.

    It looked for the type's sources, found none and went on. Left there, the next harmless error prints 30 lines on
    stderr about an "error state being overwritten".
    """
    with contextlib.suppress(OSError, AttributeError):  # no more than untidy
        ctypes.CDLL("librcutils.so").rcutils_reset_error()
