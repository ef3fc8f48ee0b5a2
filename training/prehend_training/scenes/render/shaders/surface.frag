// What is seen, not yet lit: place and code, normal and shine, albedo and translucency.
uniform sampler2DArray textures;
uniform sampler2D hand_atlas;
uniform float height_m;
uniform float atlas_tiles;
in vec3 position;
in vec3 normal;
in vec3 uvw;
in vec3 colour;
in vec3 material;
flat in vec2 tile;
flat in float code;
layout(location = 0) out vec4 out_place;
layout(location = 1) out vec4 out_normal;
layout(location = 2) out vec4 out_albedo;

// Bump mapping from a height on the surface by screen-space derivatives (Mikkelsen, JGT 2010).
vec3 bumped(vec3 N, float height) {
    vec3 across = dFdx(position), down = dFdy(position);
    vec3 first = cross(down, N), second = cross(N, across);
    float area = dot(across, first);
    vec3 slope = sign(area) * (dFdx(height) * first + dFdy(height) * second);
    vec3 turned = abs(area) * N - slope;
    float size = dot(turned, turned);
    return size > 0.0 ? turned * inversesqrt(size) : N;
}

// A texel of the hand atlas; of whatever mip level, it comes from the tile that the triangle is in.
vec4 atlas_texel() {
    vec2 across = dFdx(uvw.xy), down = dFdy(uvw.xy);
    float size = clamp(0.75 * atlas_tiles * max(length(across), length(down)), 0.001, 0.035);
    vec2 local = clamp(uvw.xy * atlas_tiles - tile, size, 1.0 - size);
    return textureGrad(hand_atlas, (tile + local) / atlas_tiles, across, down);
}

void main() {
    vec3 N = normalize(normal);
    if (material.z == 0.0 && dot(N, position) > 0.0) N = -N;  // the inside of cups and sleeves
    vec3 albedo = colour;
    if (uvw.z >= 0.0) {
        vec3 texel = texture(textures, uvw).rgb;
        albedo *= texel * texel;
    } else if (uvw.z < -1.5) {
        vec4 texel = atlas_texel();
        albedo *= texel.rgb * texel.rgb;
        N = bumped(N, texel.a * height_m);
    }
    out_place = vec4(position, code + 1.0);
    // strength in steps of 1/64 before the point, gloss up to 128 behind it
    out_normal = vec4(N, floor(clamp(material.x, 0.0, 4.0) * 64.0) + clamp(material.y / 128.0, 0.0, 0.99));
    out_albedo = vec4(sqrt(clamp(albedo, 0.0, 1.0)), 0.5 * material.z);
}
