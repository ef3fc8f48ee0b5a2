#version 330
// Colours leave as sqrt(linear) / 1.5 (see COLOUR_SCALE); textures are square-root coded too.
uniform sampler2DArray textures;
uniform sampler2DShadow shadow_map;
uniform sampler2D hand_atlas;
uniform float height_m;
uniform vec3 light_directions[3];
uniform vec3 light_colours[3];
uniform vec3 ambient[4];
uniform float shadow_strength;
in vec3 position;
in vec3 normal;
in vec3 uvw;
in vec3 colour;
in vec3 material;
in vec3 in_sun;
flat in float code;
layout(location = 0) out vec4 out_colour;
layout(location = 1) out vec2 out_label;

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

void main() {
    vec3 N = normalize(normal);
    vec3 V = normalize(-position);
    if (material.z == 0.0 && dot(N, V) < 0.0) N = -N;  // the inside of cups and sleeves
    vec3 albedo = colour;
    if (uvw.z >= 0.0) {
        vec3 texel = texture(textures, uvw).rgb;
        albedo *= texel * texel;
    } else if (uvw.z < -1.5) {
        vec4 texel = texture(hand_atlas, uvw.xy);
        albedo *= texel.rgb * texel.rgb;
        N = bumped(N, texel.a * height_m);
    }
    vec3 light = max(ambient[0] + N.x * ambient[1] + N.y * ambient[2] + N.z * ambient[3], vec3(0.0));
    vec3 shine = vec3(0.0);
    // red light travels farthest under the skin: it wraps around the edge of the shade
    vec3 wrap = material.z * vec3(0.42, 0.20, 0.14);
    for (int i = 0; i < 3; ++i) {
        vec3 L = light_directions[i];
        float facing = dot(N, L);
        vec3 diffuse = max((facing + wrap) / (1.0 + wrap), 0.0) / (1.0 + 0.5 * wrap);
        float lit = 1.0;
        if (i == 0 && in_sun.x > 0.0 && in_sun.x < 1.0 && in_sun.y > 0.0 && in_sun.y < 1.0)
            lit = 1.0 - shadow_strength * (1.0 - texture(shadow_map, vec3(in_sun.xy, in_sun.z - 0.004)));
        light += lit * light_colours[i] * diffuse;
        vec3 H = normalize(L + V);
        float edge = 1.0 - max(dot(H, V), 0.0);
        float fresnel = 0.04 + 0.96 * edge * edge * edge * edge * edge;
        float lobe = pow(max(dot(N, H), 0.0), material.y) * (material.y + 8.0) * 0.125;
        shine += lit * light_colours[i] * (material.x * fresnel * lobe * max(facing, 0.0));
    }
    out_colour = vec4(sqrt(albedo * light + shine) / 1.5, 1.0);
    out_label = vec2(code + 1.0, position.z);
}
