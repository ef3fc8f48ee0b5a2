"""What a bytes-only class tells the middleware of its fields is what generated code tells."""

import ctypes
import importlib.util

import pytest

from prehend.ros import messages as m
from prehend.ros.middleware import typesupport as t

pytestmark = pytest.mark.skipif(importlib.util.find_spec("rclpy") is None, reason="needs the extra 'ros'")
INTROSPECTION = "rosidl_typesupport_introspection_c"
OURS = [f"{m.PACKAGE}/msg/{name}" for name in m.MESSAGE_NAMES]


def fields_at(address: int) -> dict:
    """What the members at an introspection type support say, all the way down."""
    member_class, members_class = t._layouts(t._has_keys())
    support = t._TypeSupport.from_address(address)
    assert support.identifier == t._introspection_identifier()
    members = members_class.from_address(support.data)
    array = (member_class * members.member_count).from_address(members.members)
    said = {}
    for one in array:
        nested = fields_at(one.members) if one.members else None
        bounds = (one.string_upper_bound, one.is_array, one.array_size, one.is_upper_bound)
        said[one.name.decode()] = (one.type_id, *bounds, nested)
    return {f"{members.namespace.decode()}/{members.name.decode()}": said}


def generated(type_name: str) -> int:
    """Address of the introspection type support that the installation's generated code has."""
    package, kind, name = type_name.split("/")
    library = ctypes.CDLL(f"lib{package}__{INTROSPECTION}.so")
    function = getattr(library, f"{INTROSPECTION}__get_message_type_support_handle__{package}__{kind}__{name}")
    function.restype = ctypes.c_void_p
    return function()


def asked(cls: type, identifier: str) -> int | None:
    """What the class's own type support hands out, asked as the middleware asks."""
    import rclpy  # noqa: F401  its libraries

    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = pointer(type(cls)._TYPE_SUPPORT, b"rosidl_message_type_support_t")
    return t._Handle(t._TypeSupport.from_address(address).handle)(address, identifier.encode())


def bytes_only(type_name: str) -> type:
    return t.bytes_only_class(type_name, m.type_hash(type_name), m.typestore().fielddefs)


@pytest.mark.parametrize(
    "type_name",
    [m.IMAGE, m.CAMERA_INFO, m.MARKERS, m.JOINT_STATE, "geometry_msgs/msg/PoseWithCovariance", m.DIAGNOSTICS],
)
def test_fields_are_those_of_generated_code(type_name):
    assert fields_at(asked(bytes_only(type_name), INTROSPECTION)) == fields_at(generated(type_name))


@pytest.mark.parametrize("type_name", [*OURS, m.TF, m.DETECTIONS])
def test_every_type_without_a_package_tells_its_fields(type_name):
    [(name, fields)] = fields_at(asked(bytes_only(type_name), INTROSPECTION)).items()
    assert name == type_name.replace("/msg/", "__msg/")
    assert list(fields) == [field for field, _ in m.typestore().fielddefs[type_name][1]]


def test_bounds_and_lengths_are_told():
    fields = fields_at(asked(bytes_only(f"{m.PACKAGE}/msg/Hand"), INTROSPECTION))[f"{m.PACKAGE}__msg/Hand"]
    assert fields["box_px"][:5] == (1, 0, True, 4, False)
    assert fields["vertices_m"][:5] == (1, 0, True, 0, False)
    assert fields["held_object"][:5] == (18, 0, True, 1, True)


def test_a_support_that_is_not_there_is_none():
    cls = bytes_only(m.TF)
    assert asked(cls, "rosidl_typesupport_fastrtps_c") is not None
    assert asked(cls, "rosidl_typesupport_fastrtps_cpp") is None


@pytest.mark.parametrize("keys", [False, True])
def test_layouts_are_those_of_a_c_compiler(keys):
    """Humble's structures have no keys; 64 bits, as every machine that ROS 2 has binaries for."""
    member, members = t._layouts(keys)
    shift = 0 if keys else -1
    assert member.is_array.offset == 33 + shift and member.array_size.offset == 40
    assert member.offset.offset == 52 and ctypes.sizeof(member) == 64 + 6 * 8
    assert members.members.offset == (40 if keys else 32) and ctypes.sizeof(members) == members.members.offset + 24
