uniform mat4 projection;
in vec3 in_position;
void main() {
    gl_Position = projection * vec4(in_position, 1.0);
}
