out vec4 cover;
void main() {
    cover = vec4(1.0);
}
