#!/usr/bin/env bash
# Runs a command in the built workspace; who sends large images needs room for them (docs/ROS.md).
set -e
source "/opt/ros/$ROS_DISTRO/setup.bash"
source /ws/install/setup.bash
profile=/ws/install/prehend_ros/share/prehend_ros/config/fastdds.xml
export FASTRTPS_DEFAULT_PROFILES_FILE="${FASTRTPS_DEFAULT_PROFILES_FILE:-$profile}"
exec "$@"
