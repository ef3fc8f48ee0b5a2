in vec3 in_position;
void main() {
    gl_Position = seen((camera * vec4(in_position, 1.0)).xyz);
}
