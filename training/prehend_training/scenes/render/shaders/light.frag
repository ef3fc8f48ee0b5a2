// Light on what `surface` left; linear colours.
uniform sampler2D places;
uniform sampler2D normals;
uniform sampler2D albedos;
uniform sampler2DShadow shadow_map;
uniform mat4 world;  // camera to world
uniform mat4 sun_clip;
uniform vec3 sun;
uniform vec3 sun_colour;
uniform float sun_texel_m;
uniform vec2 softness;  // radius of the shadow's edge, in the shadow map
uniform mat4 ambient[3];
uniform int lamp_count;
uniform vec3 lamps[2];
uniform vec3 lamp_colours[2];
uniform float crevices;
uniform vec2 focal;
layout(location = 0) out vec4 out_colour;

const vec2 DISC[8] = vec2[](vec2(-0.33, -0.41), vec2(0.47, -0.48), vec2(-0.70, 0.46), vec2(0.51, 0.06),
                            vec2(0.19, -0.89), vec2(-0.20, 0.62), vec2(-0.84, -0.07), vec2(0.66, 0.70));

// Share of the light from around that gets to a point: points nearby that stand above its surface keep it out
// (McGuire et al., The Alchemy Screen-Space Ambient Obscurance Algorithm, 2011).
float openness(vec3 P, vec3 N, ivec2 pixel) {
    ivec2 last = textureSize(places, 0) - 1;
    float hidden = 0.0;
    for (int scale = 0; scale < 2; ++scale) {
        float reach = scale == 0 ? 0.012 : 0.045;
        vec2 radius = min(focal * reach / P.z, vec2(0.16 * float(last.x)));
        float sum = 0.0;
        for (int i = 0; i < 4; ++i) {
            ivec2 at = pixel + ivec2(round(DISC[2 * i + scale] * radius));
            vec4 other = texelFetch(places, clamp(at, ivec2(0), last), 0);
            vec3 way = other.xyz - P;
            float square = dot(way, way);
            float near = max(1.0 - square / (reach * reach * 2.5), 0.0);
            sum += other.w > 0.0 ? near * max(dot(way, N) * inversesqrt(square + 1e-7) - 0.12, 0.0) : 0.0;
        }
        hidden += sum * (scale == 0 ? 0.33 : 0.30);
    }
    return clamp(1.0 - crevices * hidden, 0.0, 1.0);
}

float unshadowed(vec3 world_place, vec3 N, float facing) {
    // a step along the normal keeps a surface out of its own shadow
    float step_m = (0.8 + 1.6 * (1.0 - max(facing, 0.0))) * sun_texel_m;
    vec3 at = (sun_clip * vec4(world_place + step_m * N, 1.0)).xyz * 0.5 + 0.5;
    if (any(lessThan(at.xy, vec2(0.0))) || any(greaterThan(at.xy, vec2(1.0)))) return 1.0;
    float lit = 0.0;
    for (int i = 0; i < 8; ++i) lit += textureLod(shadow_map, vec3(at.xy + DISC[i] * softness, at.z), 0.0);
    return lit / 8.0;
}

vec3 around(vec3 N) {
    vec4 n = vec4(N, 1.0);
    return max(vec3(dot(n, ambient[0] * n), dot(n, ambient[1] * n), dot(n, ambient[2] * n)), vec3(0.0));
}

float shine(vec3 L, vec3 V, vec3 N, float gloss) {
    vec3 H = normalize(L + V);
    float edge = 1.0 - max(dot(H, V), 0.0);
    float fresnel = 0.04 + 0.96 * edge * edge * edge * edge * edge;
    return fresnel * pow(max(dot(N, H), 0.0), gloss) * (gloss + 8.0) * 0.125 * max(dot(N, L), 0.0);
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    vec4 place = texelFetch(places, pixel, 0);
    vec4 packed_normal = texelFetch(normals, pixel, 0);
    vec4 coded = texelFetch(albedos, pixel, 0);
    vec3 albedo = coded.rgb * coded.rgb;
    float strength = floor(packed_normal.w) / 64.0, gloss = fract(packed_normal.w) * 128.0;
    float open = openness(place.xyz, packed_normal.xyz, pixel);
    vec3 P = (world * vec4(place.xyz, 1.0)).xyz;
    vec3 N = normalize(mat3(world) * packed_normal.xyz), V = normalize(mat3(world) * -place.xyz);
    // light bounces on between bright walls, in skin mostly the red
    vec3 opened = open / (1.0 - albedo * (1.0 - open) * 0.8);
    float skin = 2.0 * coded.a;
    // red light travels farthest under the skin: it wraps around the edge of the shade
    vec3 wrap = skin * vec3(0.40, 0.17, 0.11);
    vec3 light = around(N) * opened, gleam = vec3(0.0);
    float facing = dot(N, sun);
    float lit = unshadowed(P, N, facing);
    vec3 shaded = mix(vec3(lit), sqrt(vec3(lit)), min(wrap, 1.0));  // and into the edge of a shadow
    light += shaded * sun_colour * max((facing + wrap) / (1.0 + wrap), 0.0) / (1.0 + 0.5 * wrap);
    gleam += lit * sun_colour * shine(sun, V, N, gloss);
    for (int i = 0; i < lamp_count; ++i) {
        vec3 way = lamps[i] - P;
        float square = max(dot(way, way), 0.01);
        vec3 L = way * inversesqrt(square), colour = lamp_colours[i] / square * (0.4 + 0.6 * open);
        light += colour * max((dot(N, L) + wrap) / (1.0 + wrap), 0.0) / (1.0 + 0.5 * wrap);
        gleam += colour * shine(L, V, N, gloss);
    }
    // the surroundings mirrored: little seen straight on, much along the surface, less where rough
    float edge = 1.0 - max(dot(N, V), 0.0);
    float mirror = 0.04 + (0.20 + 0.76 * smoothstep(8.0, 90.0, gloss)) * edge * edge * edge * edge * edge;
    gleam += mirror * open * open * around(reflect(-V, N));
    out_colour = vec4(albedo * light + strength * gleam, 1.0);
}
