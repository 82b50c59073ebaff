# Written, not executed: no Mac has seen it. `url` and `sha256` are filled in when there is a public archive of the tag.
class Viseme < Formula
  desc "Talking-head video from an avatar pack and any speech"
  homepage "https://example.org/viseme"
  url "https://example.org/viseme-0.2.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license "Apache-2.0"

  depends_on xcode: ["26.0", :build]
  depends_on "pkgconf" => :build
  depends_on "ffmpeg"
  depends_on macos: :sequoia
  depends_on "onnxruntime"
  uses_from_macos "sqlite"

  def install
    system "swift", "build", "--disable-sandbox", "-c", "release", "--product", "viseme"
    libexec.install ".build/release/viseme", Dir[".build/release/Viseme_Viseme*.bundle"]
    # The program looks for these beside itself.
    (libexec/"avatars").install "avatars/robin.avatar"
    libexec.install_symlink Formula["onnxruntime"].opt_lib/"libonnxruntime.dylib"
    bin.install_symlink libexec/"viseme"
    generate_completions_from_executable(libexec/"viseme", "--generate-completion-script")
  end

  service do
    run [opt_bin/"viseme", "serve", "--avatars", opt_libexec/"avatars", "--data", var/"viseme"]
    keep_alive true
  end

  test do
    assert_match "works here", shell_output("#{bin}/viseme doctor --system")
    system "say", "-o", "hello.aiff", "Hello there"
    system bin/"viseme", "render", "--audio", "hello.aiff", "-o", "hello.mp4"
    assert_path_exists testpath/"hello.mp4"
  end
end
