import Testing
import VisemeTestSupport

@testable import Viseme

@Suite("Samples and sound in lockstep") struct LockstepTests {
    @Test(
        "However either runs ahead, at most a sample's length lies between them, and nothing is lost", arguments: 0..<60
    )
    func lockstep(seed: Int) {
        var random = SeededRandom(seed)
        let form = AudioFormat(rate: [8000, 16_000, 22_050, 44_100, 48_000][seed % 5], channels: 1 + seed % 2)
        var lockstep = Lockstep(rate: 16_000, form: form)
        let samples = (0..<9000).map { Float($0) }
        let sound = (0..<9000 * form.rate / 16_000 * form.channels).map { Float($0) }
        var (pushed, given) = ((0, 0), ([Float](), [Float]()))
        while pushed.0 < samples.count || pushed.1 < sound.count {
            let end = min(samples.count, pushed.0 + Int.random(in: 0...700, using: &random))
            let soundEnd = min(sound.count, pushed.1 + Int.random(in: 0...2000, using: &random) * form.channels)
            let (a, b) = lockstep.pass(Array(samples[pushed.0..<end]), sound: Array(sound[pushed.1..<soundEnd]))
            pushed = (end, soundEnd)
            given = (given.0 + a, given.1 + b)
            let apart = given.0.count * form.rate / 16_000 - given.1.count / form.channels
            #expect((-3...3).contains(apart), "\(apart)")
        }
        let rest = lockstep.flush()
        #expect(given.0 + rest.samples == samples && given.1 + rest.sound == sound && !lockstep.isHolding)
        #expect(rest.samples.count < 4 && rest.sound.count < 8)
    }
}
