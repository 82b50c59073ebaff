import CFFmpeg
import Foundation
import Viseme

/// The error that is thrown when a native call fails.
struct Purpose {
    /// The error code.
    var code: VisemeError.Code
    /// The object and the failed operation.
    var message: String
    /// The hint of the error.
    var hint: String?

    /// Makes a purpose.
    init(_ code: VisemeError.Code, _ message: String, hint: String? = nil) {
        self.code = code
        self.message = message
        self.hint = hint
    }
}

/// Throws an error for a negative libav* status.
///
/// - Parameters:
///   - status: The returned status; negative means failure.
///   - purpose: The error, evaluated on failure only.
/// - Returns: The status, zero or more.
@discardableResult
func check(_ status: Int32, _ purpose: @autoclosure () -> Purpose) throws -> Int32 {
    guard status < 0 else { return status }
    let purpose = purpose()
    let reason = reason(of: status)
    if status == viseme_error_posix(ENOSPC) {
        throw VisemeError(.cannotCreate, "\(purpose.message): \(reason)", hint: "free some disk space and run again")
    }
    let code = status == viseme_error_posix(ENOMEM) ? VisemeError.Code.internal : purpose.code
    throw VisemeError(code, "\(purpose.message): \(reason)", hint: purpose.hint)
}

/// Throws an error for a null object: libav* returns null only when it is out of memory.
func check<Value>(_ value: Value?, _ name: String) throws -> Value {
    guard let value else { throw VisemeError(.internal, "libav* returned no \(name): out of memory") }
    return value
}

/// The libav* message for a status.
func reason(of status: Int32) -> String {
    var text = [CChar](repeating: 0, count: 256)
    guard av_strerror(status, &text, text.count) == 0 else { return "libav status \(status)" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// A file's URL for libav*: a path is never parsed as a protocol.
func location(of url: URL) -> String {
    url.isFileURL ? "file:\(url.path)" : url.absoluteString
}

/// The name of a file in messages.
func name(of url: URL) -> String {
    if url.isFileURL { return url.path }
    if url == FFmpeg.standardInput { return "standard input" }
    return url.scheme == "pipe" ? "the pipe" : url.absoluteString
}

/// A C string of libav* as text.
func text(_ pointer: UnsafePointer<CChar>?) -> String {
    pointer.map { String(cString: $0) } ?? "unknown"
}

/// The name of a codec.
func codecName(_ identifier: AVCodecID) -> String { text(avcodec_get_name(identifier)) }

extension VisemeError {
    /// The error for a file that is not there.
    init(missing thing: String, at url: URL) {
        // Arguments that are not UTF-8 arrive with this character in place of the bytes.
        let isDamaged = url.path.contains("\u{FFFD}")
        self.init(
            .noInput, "\(thing) '\(url.path)' does not exist",
            hint: isDamaged ? "the name holds bytes that are not UTF-8: rename the file" : "check the path")
    }
}
