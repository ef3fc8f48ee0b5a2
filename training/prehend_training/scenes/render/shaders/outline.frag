// One thing alone, in a channel of its own.
uniform vec4 channel;
out vec4 cover;
void main() {
    cover = channel;
}
