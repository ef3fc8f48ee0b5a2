"""Message classes for rclpy without generated code: enough to publish and to receive a type as bytes.

A machine that has rclpy as wheels has no generator for messages. rclpy asks a message class for a
`rosidl_message_type_support_t` (rosidl_runtime_c) and four converter capsules. When a type only travels as bytes
(`publish(bytes)`, `raw=True`) the converters are never called, and the middleware needs no more than the type's name,
its hash (REP 2016), that its size is unbounded, and its fields: rmw_fastrtps_cpp tells others those (DDS-XTypes), and
up to Jazzy makes no publisher without them. So the structures can be filled in with ctypes.

Layouts: rosidl_runtime_c/message_type_support_struct.h, rosidl_runtime_c/type_description/*.h,
rosidl_typesupport_fastrtps_cpp/message_type_support.h and rosidl_typesupport_introspection_c/message_introspection.h,
as of ROS 2 Humble to Kilted (older ones read fewer fields).

It stays ours: no package makes message classes without a generator.
"""

import contextlib
import ctypes
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

Definitions = Mapping[str, tuple[Any, Sequence[tuple[str, Any]]]]
"""Of types by name: constants, and fields as (name, node); `fielddefs` of a type store of rosbags. A node is (1, (basic
type, longest or 0)), (2, type), (3, (node, length)) for an array or (4, (node, longest or 0)) for a sequence."""

_IDENTIFIER = b"rosidl_typesupport_fastrtps_c"
_INTROSPECTION = "rosidl_typesupport_introspection_c"
_ARRAY, _SEQUENCE, _NAME = 3, 4, 2
_MESSAGE_ID = 18
_BASIC_IDS = {
    "float32": 1,
    "float64": 2,
    "char": 8,  # a uint8 since REP 2011's messages
    "bool": 6,
    "byte": 7,
    "octet": 7,
    "uint8": 8,
    "int8": 9,
    "uint16": 10,
    "int16": 11,
    "uint32": 12,
    "int32": 13,
    "uint64": 14,
    "int64": 15,
    "string": 16,
    "wstring": 17,
}
"""rosidl_typesupport_introspection_c/field_types.h."""
_SUPPORT_CAPSULE = b"rosidl_message_type_support_t"
_NEVER_CALLED = 1
"""Address of the converters. rclpy wants them not to be None, and calls them for Python messages only."""

_KEEP: list[Any] = []
"""The middleware holds pointers into these objects until the process ends."""

_SerializedSize = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
_MaxSerializedSize = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.POINTER(ctypes.c_char))
_Getter = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_Serialize = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)
_Handle = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)


class _TypeHash(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint8), ("value", ctypes.c_uint8 * 32)]


class _CSequence(ctypes.Structure):
    """A string or a sequence: data, size, capacity."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("capacity", ctypes.c_size_t)]


class _TypeDescription(ctypes.Structure):
    _fields_ = [("type_name", _CSequence), ("fields", _CSequence), ("referenced", _CSequence)]


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
        ("identifier", ctypes.c_void_p),
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


@cache
def _layouts(keys: bool) -> tuple[type[ctypes.Structure], type[ctypes.Structure]]:
    """MessageMember and MessageMembers; since Jazzy each says whether there are keys."""
    key = [("is_key", ctypes.c_bool)] if keys else []
    member = [
        ("name", ctypes.c_char_p),
        ("type_id", ctypes.c_uint8),
        ("string_upper_bound", ctypes.c_size_t),
        ("members", ctypes.c_void_p),
        *key,
        ("is_array", ctypes.c_bool),
        ("array_size", ctypes.c_size_t),
        ("is_upper_bound", ctypes.c_bool),
        ("offset", ctypes.c_uint32),
        ("default_value", ctypes.c_void_p),
        ("functions", ctypes.c_void_p * 6),  # of values in memory, of which there are none
    ]
    members = [
        ("namespace", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("member_count", ctypes.c_uint32),
        ("size_of", ctypes.c_size_t),
        *key,
        ("members", ctypes.c_void_p),
        ("functions", ctypes.c_void_p * 2),
    ]
    return (
        type("MessageMember", (ctypes.Structure,), {"_fields_": member}),
        type("MessageMembers", (ctypes.Structure,), {"_fields_": members}),
    )


def _has_keys() -> bool:
    """Whether this distribution's introspection knows keys; wheels, which set no ROS_DISTRO, begin with Jazzy."""
    return os.environ.get("ROS_DISTRO", "") not in ("humble", "iron")


@cache
def _introspection_identifier() -> int:
    """Address of the library's own text, which the middleware compares by address."""
    library = ctypes.CDLL(f"lib{_INTROSPECTION}.so")
    address = ctypes.c_void_p.in_dll(library, f"{_INTROSPECTION}__identifier").value
    assert address is not None
    return address


class _Fields:
    """Tells the middleware the fields of a type, and of those that it is made of.

    Args:
        definitions: of all of them.
    """

    def __init__(self, definitions: Definitions):
        self._definitions = definitions
        self._made: dict[str, _TypeSupport] = {}

    def of(self, type_name: str) -> _TypeSupport:
        """The introspection type support of a type."""
        if type_name not in self._made:
            self._made[type_name] = self._make(type_name)
        return self._made[type_name]

    def _make(self, type_name: str) -> _TypeSupport:
        package, kind, name = type_name.split("/")
        member_class, members_class = _layouts(_has_keys())
        fields = self._definitions[type_name][1]
        array = (member_class * len(fields))()
        for member, (field, node) in zip(array, fields, strict=True):
            member.name = field.encode()
            self._fill(member, node)
        address = ctypes.addressof(array)
        members = members_class(f"{package}__{kind}".encode(), name.encode(), len(fields), 1, members=address)
        support = _TypeSupport()
        support.identifier = _introspection_identifier()
        support.data = ctypes.addressof(members)
        support.handle = _handle({_INTROSPECTION: support})
        _KEEP.append((array, members, support))
        return support

    def _fill(self, member: Any, node: tuple[int, Any]) -> None:
        kind, value = node
        if kind in (_ARRAY, _SEQUENCE):
            member.is_array, member.array_size = True, value[1]
            member.is_upper_bound = kind == _SEQUENCE and value[1] > 0
            kind, value = value[0]
        if kind == _NAME:
            member.type_id, member.members = _MESSAGE_ID, ctypes.addressof(self.of(value))
        else:
            member.type_id, member.string_upper_bound = _BASIC_IDS[value[0]], value[1]


def _handle(supports: Mapping[str, "_TypeSupport"]) -> int | None:
    """Address of a function that hands out one of these by its identifier, or nothing."""
    addresses = {name.encode(): ctypes.addressof(support) for name, support in supports.items()}
    function = _Handle(lambda _support, identifier: addresses.get(identifier))
    _KEEP.append((function, supports))
    return ctypes.cast(function, ctypes.c_void_p).value


def _type_support(type_name: str, rihs01: str, definitions: Definitions) -> _TypeSupport:
    package, kind, name = type_name.split("/")
    callbacks = _Callbacks(f"{package}::{kind}".encode(), name.encode(), _refuse, _refuse, _no_size, _unbounded, None)
    type_hash = _TypeHash(1, (ctypes.c_uint8 * 32).from_buffer_copy(bytes.fromhex(rihs01.removeprefix("RIHS01_"))))
    text = ctypes.create_string_buffer(type_name.encode())
    description = _TypeDescription(_CSequence(ctypes.addressof(text), len(type_name), len(type_name) + 1))
    sources = _CSequence()
    getters = [_getter(structure) for structure in (type_hash, description, sources)]
    identifier = ctypes.create_string_buffer(_IDENTIFIER)
    support = _TypeSupport(ctypes.addressof(identifier), ctypes.addressof(callbacks), None, *getters)
    support.handle = _handle({_IDENTIFIER.decode(): support, _INTROSPECTION: _Fields(definitions).of(type_name)})
    _KEEP.append((callbacks, type_hash, text, description, sources, getters, identifier, support))
    return support


def _capsule(address: int, name: bytes | None) -> object:
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(address, name, None)


def bytes_only_class(type_name: str, rihs01: str, definitions: Definitions) -> type:
    """A message class that rclpy takes for publishers of bytes and for raw subscriptions.

    Args:
        type_name: "package/msg/Name".
        rihs01: hash of the type's description, "RIHS01_" and 64 hexadecimal digits.
        definitions: of this type and of those that it is made of.
    """
    support = _type_support(type_name, rihs01, definitions)
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
