// The same lens as `lens.Lens`; k: k1 k2 p1 p2 | k3 k4 k5 k6 | s1..s4, or k1..k4 of a fisheye.
uniform mat4 camera;  // world to camera
uniform mat4 projection;
uniform int lens;  // 0 none, 1 Brown and rational, 2 equidistant
uniform vec4 k[3];
uniform float reach;

vec2 distorted(vec2 p) {
    float r = length(p);
    if (lens == 2) {
        float angle = atan(r);
        float inside = min(angle, reach);
        float q = inside * inside;
        float bent = 1.0 + q * (k[0].x + q * (k[0].y + q * (k[0].z + q * k[0].w)));
        return r > 1e-7 ? p * (bent * angle / r) : p;
    }
    float excess = max(r / reach, 1.0);
    p /= excess;
    float q = dot(p, p);
    float radial = (1.0 + q * (k[0].x + q * (k[0].y + q * k[1].x))) / (1.0 + q * (k[1].y + q * (k[1].z + q * k[1].w)));
    vec2 shift = vec2(2.0 * k[0].z * p.x * p.y + k[0].w * (q + 2.0 * p.x * p.x) + q * (k[2].x + k[2].y * q),
                      k[0].z * (q + 2.0 * p.y * p.y) + 2.0 * k[0].w * p.x * p.y + q * (k[2].z + k[2].w * q));
    return (p * radial + shift) * excess;
}

vec4 seen(vec3 place) {
    if (lens != 0 && place.z > 0.01) place.xy = distorted(place.xy / place.z) * place.z;
    return projection * vec4(place, 1.0);
}
