#!/usr/bin/env bash
# Starts the nodes through ros2 launch, with every argument of every launch file, and asks the nodes what arrived.
set -eo pipefail
work=$(mktemp -d)
printf '/**:\n  ros__parameters: {max_hands: 2, image_transport: raw}\n' > "$work/params.yaml"

# started FILE NODE ARGUMENT...: returns once the node answers
started() {
    local file=$1
    node=$2
    shift 2
    ros2 launch prehend_ros "$file" "$@" &
    launch=$!
    for _ in $(seq 60); do
        if ros2 param get "$node" max_hands > /dev/null 2>&1; then return; fi
        kill -0 "$launch"
        sleep 1
    done
    return 1
}

# has PARAMETER VALUE
has() {
    ros2 param get "$node" "$1" | grep -Fq -- "$2" || { echo "$node: $1 is not $2" >&2 && return 1; }
}

# hears TOPIC
hears() {
    ros2 node info "$node" | grep -Fq -- " $1: " || { echo "$node does not subscribe to $1" >&2 && return 1; }
}

ended() {
    kill -INT "$launch"
    wait "$launch" || true
}

started prehend.launch.py /cell/prehend image:=/cam/color camera_info:=/cam/info image_transport:=compressed \
    object_id:=mug namespace:=cell use_sim_time:=true params_file:="$work/params.yaml"
has max_hands 2
has image_transport compressed
has object_id mug
has use_sim_time True
hears /cam/color/compressed
hears /cam/info
ended

started prehend.launch.py /prehend params_file:="$work/params.yaml"
has image_transport raw
has use_sim_time False
hears /camera/image_raw
hears /camera/camera_info
ended

started prehend_two_cameras.launch.py /cell/prehend cameras:=front,left images:=/a/image,/b/image rig:=true \
    rig_file:="$(prehend files rig.yaml)" image_transport:=raw namespace:=cell use_sim_time:=false \
    params_file:="$work/params.yaml"
has cameras front,left
has rig True
has max_hands 2
hears /a/image
hears /b/image
ended

# a bag of two seconds, after which everything ends by itself
python - "$work/bag" << 'EOF_BAG'
import sys

import numpy as np
from rosbags.rosbag2 import Writer

from prehend.ros import messages as m
from prehend.ros.conversion.convert import header_message
from prehend.ros.conversion.images import image_message

with Writer(sys.argv[1], version=9) as bag:
    topic = bag.add_connection("/cam/image", m.IMAGE, typestore=m.typestore())
    for n in range(20):
        stamp_s = 100 + n / 10
        image = image_message(header_message(stamp_s, "cam"), np.zeros((48, 64, 3), np.uint8))
        bag.write(topic, round(stamp_s * 1e9), m.encode(image))
EOF_BAG
timeout 180 ros2 launch prehend_ros prehend_replay.launch.py bag:="$work/bag" topic:=/cam/image image_transport:=raw \
    also:=all start:=0.1 loop:=false object_id:=mug namespace:=cell params_file:="$work/params.yaml"
echo "launched: every launch file, every argument"
