in vec3 in_position;
in vec3 in_normal;
in vec3 in_uvw;
in vec3 in_colour;
in vec3 in_material;
in float in_code;
uniform float atlas_tiles;
out vec3 position;
out vec3 normal;
out vec3 uvw;
out vec3 colour;
out vec3 material;
flat out vec2 tile;
flat out float code;
void main() {
    position = (camera * vec4(in_position, 1.0)).xyz;
    normal = mat3(camera) * in_normal;
    gl_Position = seen(position);
    uvw = in_uvw;
    colour = in_colour;
    material = in_material;
    tile = floor(in_uvw.xy * atlas_tiles);
    code = in_code;
}
