#version 330
uniform mat4 projection;
uniform mat4 sun;
in vec3 in_position;
in vec3 in_normal;
in vec3 in_uvw;
in vec3 in_colour;
in vec3 in_material;
in float in_code;
out vec3 position;
out vec3 normal;
out vec3 uvw;
out vec3 colour;
out vec3 material;
out vec3 in_sun;
flat out float code;
void main() {
    gl_Position = projection * vec4(in_position, 1.0);
    position = in_position;
    normal = in_normal;
    uvw = in_uvw;
    colour = in_colour;
    material = in_material;
    // a step along the normal keeps a surface out of its own shadow
    in_sun = (sun * vec4(in_position + 0.0015 * in_normal, 1.0)).xyz * 0.5 + 0.5;
    code = in_code;
}
