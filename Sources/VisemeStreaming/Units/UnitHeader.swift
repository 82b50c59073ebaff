package import Foundation
package import Viseme

/// The header of a record of the unit stream; docs/units.md describes the bytes.
package struct UnitHeader: Sendable, Equatable {
    /// The first four bytes of every record.
    package static let magic: [UInt8] = Array("VSMU".utf8)
    /// The version of the format.
    package static let version: UInt16 = 1
    /// Bytes of the header without a mouth's shape and the utterance's name.
    package static let length = 56
    /// Bytes of a mouth's shape: the parameters and the visemes' weights.
    package static let shapeLength = 4 * (MouthShape.parameterNames.count + OculusViseme.allCases.count)
    /// Template frame number of a picture that is none.
    package static let noTemplate = UInt32.max

    /// What the session does.
    package enum State: UInt8, Sendable {
        case idle, speaking, waiting, ended
    }

    /// What follows as picture.
    package enum PictureKind: UInt8, Sendable {
        /// None: the picture of the record before stays.
        case same
        /// The planes of a picture.
        case planes
        /// None: the picture is the template frame that was sent before.
        case template
    }

    /// Flags of a record.
    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The first unit of the utterance.
        package static let first = Flags(rawValue: 1)
        /// The end of the utterance: everything was given.
        package static let last = Flags(rawValue: 2)
        /// The end of the utterance: it was interrupted.
        package static let interrupted = Flags(rawValue: 4)
        /// A mark between two units, without picture, sound or duration.
        package static let mark = Flags(rawValue: 8)
    }

    package var number: UInt32 = 0
    package var epoch: UInt32 = 0
    package var state = State.idle
    package var flags: Flags = []
    package var kind = PictureKind.same
    /// The utterance's name; at most 255 bytes. Empty for none.
    package var utterance = ""
    package var width: UInt16 = 0
    package var height: UInt16 = 0
    /// The template frame that the picture is.
    package var template = UnitHeader.noTemplate
    package var pictureBytes: UInt32 = 0
    package var rate: UInt32 = 0
    package var channels: UInt16 = 0
    package var soundBytes: UInt32 = 0
    /// Samples of each channel of the utterance up to the end of this record.
    package var position: UInt64 = 0
    /// What the mouth does; nil for readers that did not ask.
    package var shape: MouthShape?

    /// The length of the header with the utterance's name, in bytes.
    package var byteCount: Int { Self.length + (shape == nil ? 0 : Self.shapeLength) + utterance.utf8.count }

    /// Makes the header of an idle unit without picture and sound.
    package init() {}

    /// The header's bytes with the utterance's name.
    package var bytes: Data {
        let name = Array(utterance.utf8)
        precondition(name.count <= 255, "names are checked where they come in")
        var data = Data(capacity: byteCount)
        func put(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { data.append(contentsOf: $0) }
        }
        data.append(contentsOf: Self.magic)
        put(Self.version)
        put(UInt16(byteCount - name.count))
        put(number)
        put(epoch)
        put(state.rawValue)
        put(flags.rawValue)
        put(kind.rawValue)
        put(UInt8(name.count))
        put(width)
        put(height)
        put(template)
        put(pictureBytes)
        put(rate)
        put(channels)
        put(UInt16(0))
        put(soundBytes)
        put(UInt32(0))
        put(position)
        if let shape {
            for value in shape.parameters + OculusViseme.weights(of: shape) { put(value.bitPattern) }
        }
        data.append(contentsOf: name)
        return data
    }
}

/// A record of the unit stream: a header, then the picture, then the sound.
package struct UnitRecord: Sendable {
    package var header: UnitHeader
    /// Shared by all readers.
    package var picture = Data()
    /// s16le, interleaved; shared by all readers.
    package var sound = Data()

    /// The length of the record in bytes.
    package var byteCount: Int { header.byteCount + picture.count + sound.count }
}

extension SessionStatus.State {
    /// The state in the unit stream.
    var ofUnits: UnitHeader.State {
        switch self {
        case .idle: .idle
        case .speaking: .speaking
        case .waiting: .waiting
        case .ended: .ended
        }
    }
}
