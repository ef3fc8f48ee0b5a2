"""What the node takes from rclpy is in every distribution that is supported, of which not all can be had as wheels.

Humble's names are those of its API documentation and of rclpy 3.3; they are names, not code that ran.
"""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src" / "prehend" / "ros"
HUMBLE = {
    "rclpy.clock": {"Clock", "ClockType"},
    "rclpy.duration": {"Duration"},
    "rclpy.executors": {"SingleThreadedExecutor"},
    "rclpy.lifecycle": {"LifecycleNode", "LifecycleState", "ManagedEntity", "Node", "TransitionCallbackReturn"},
    "rclpy.node": {"Node"},
    "rclpy.qos": {
        "DurabilityPolicy",
        "HistoryPolicy",
        "QoSCompatibility",
        "QoSPolicyKind",
        "QoSProfile",
        "ReliabilityPolicy",
        "qos_check_compatible",
    },
    "rclpy.qos_event": {"SubscriptionEventCallbacks"},
    "rclpy.qos_overriding_options": {"QoSOverridingOptions"},
    "rcl_interfaces.msg": {"FloatingPointRange", "IntegerRange", "ParameterDescriptor", "SetParametersResult"},
    "std_srvs.srv": {"SetBool", "Trigger"},
}
NEWER = {("rclpy.event_handler", "SubscriptionEventCallbacks"): "rclpy.qos_event"}
"""What came later, and what it was before; the old name goes on behind an ImportError."""


def taken(path: Path) -> set[tuple[str, str, bool]]:
    """(module, name, whether it may be missing) of what a file imports from ROS."""
    tree = ast.parse(path.read_text())
    tried = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.Try)
        and any(isinstance(one.type, ast.Name) and one.type.id == "ImportError" for one in outer.handlers)
        and any(isinstance(node, ast.ImportFrom) for one in outer.handlers for node in one.body)
        for node in outer.body
    }
    return {
        (str(node.module), alias.name, id(node) in tried)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and str(node.module).split(".")[0] in ("rclpy", "rcl_interfaces", "std_srvs")
        for alias in node.names
    }


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda path: str(path.relative_to(SRC)))
def test_humble_has_what_is_imported(path: Path) -> None:
    for module, name, may_miss in taken(path):
        if (module, name) in NEWER:
            assert may_miss and (NEWER[module, name], name, False) in taken(path), f"{path.name}: {module}.{name}"
        else:
            assert name in HUMBLE.get(module, ()), f"{path.name}: {module}.{name} is not known to be in Humble"


def test_the_distribution_that_is_here_has_it_too() -> None:
    if importlib.util.find_spec("rclpy") is None:
        pytest.skip("needs the extra 'ros' or a ROS installation")
    old = set(NEWER.values())  # which warn of themselves
    for module, names in HUMBLE.items():
        if module not in old or importlib.util.find_spec("rclpy.event_handler") is None:
            missing = {name for name in names if not hasattr(importlib.import_module(module), name)}
            assert not missing, f"{module}: {missing}"
