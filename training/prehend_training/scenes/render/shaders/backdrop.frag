uniform sampler2D backdrop;
layout(location = 0) out vec4 out_colour;
void main() {
    vec3 behind = texelFetch(backdrop, ivec2(gl_FragCoord.xy), 0).rgb;
    out_colour = vec4(behind * behind, 0.0);
}
