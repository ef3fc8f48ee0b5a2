#!/usr/bin/env bash
# In the image, after colcon build: the tests of the packages, the launch files' arguments, and the node over DDS, as
# built and from Python alone.
set -eo pipefail
cd /ws
source "/opt/ros/$ROS_DISTRO/setup.bash"
export RMW_IMPLEMENTATION=rmw_fastrtps_cpp ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST

source install/setup.bash
colcon test --return-code-on-test-failure --event-handlers console_direct+
colcon test-result --verbose
for file in prehend.launch.py prehend_two_cameras.launch.py prehend_replay.launch.py; do
    ros2 launch prehend_ros "$file" --show-args
done
bash src/prehend_ros/docker/launched.sh
cd src/prehend_ros
python -m pytest test/ros/nodes/test_life.py test/ros/test_node.py

# without the build: a new shell that has ROS alone, the types registered by the node itself
env --unset=AMENT_PREFIX_PATH --unset=PYTHONPATH --unset=LD_LIBRARY_PATH bash -c '
    source "/opt/ros/$ROS_DISTRO/setup.bash"
    export PYTHONPATH=$PWD/src:$PYTHONPATH
    python -m pytest test/ros/middleware/test_typesupport.py test/ros/nodes/test_life.py test/ros/test_node.py'
