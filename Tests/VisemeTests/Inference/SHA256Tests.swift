import Foundation
import Testing

@testable import Viseme

@Suite("SHA-256")
struct SHA256Tests {
    @Test(
        "The vectors of FIPS 180-4",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func vectors(text: String, digest: String) {
        #expect(SHA256.hexDigest(of: Data(text.utf8)) == digest)
    }

    @Test("Lengths around the block borders give Python's digests, slices of data too")
    func lengths() throws {
        let digests = try Golden.json([String: String].self, "sha256.json")
        #expect(digests.count == 23)
        for (text, digest) in digests {
            let length = try #require(Int(text))
            let data = Data((0..<length).map { UInt8(truncatingIfNeeded: $0 * 7 + length) })
            #expect(SHA256.hexDigest(of: data) == digest, "length \(length)")
            #expect(SHA256.hexDigest(of: (Data([1, 2, 3]) + data).dropFirst(3)) == digest, "slice of length \(length)")
        }
    }
}
