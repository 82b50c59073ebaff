import Foundation
import Testing
import VisemeModels
import VisemeTestSupport

@testable import VisemeCLI

extension CommandLineTests {
    @Suite("Doctor of the machine")
    struct SystemTests {
        private static let cpuinfo = """
            processor\t: 0
            model name\t: AMD EPYC 9B14
            flags\t\t: fpu sse4_1 avx avx2 fma avx512f avx512_vnni

            """

        private func machine(
            cores: Int = 4, cpuinfo: String? = cpuinfo, meminfo: String? = "MemAvailable:    2000000 kB\n",
            cpuMax: String? = "max 100000\n", memoryMax: String? = "max\n"
        ) -> Machine {
            Machine(
                cores: cores, memory: 8_000_000_000, cpuinfo: cpuinfo, meminfo: meminfo, cpuMax: cpuMax,
                memoryMax: memoryMax)
        }

        @Test("The texts of the kernel become a machine, with the limits of a container")
        func reading() {
            let plain = machine()
            #expect(plain.processor == "AMD EPYC 9B14")
            #expect(plain.instructions == ["sse4_1", "avx", "avx2", "fma", "avx512f", "avx512_vnni"])
            #expect(plain.quota == nil && plain.memory == 8_000_000_000 && plain.available == 2_048_000_000)

            let limited = machine(cpuMax: "150000 100000\n", memoryMax: "400000000\n")
            #expect(limited.quota == 1.5 && limited.memory == 400_000_000 && limited.available == 400_000_000)

            let bare = machine(cpuinfo: nil, meminfo: nil, cpuMax: nil, memoryMax: nil)
            #expect(bare.processor == nil && bare.instructions.isEmpty && bare.quota == nil && bare.available == nil)
        }

        @Test(
            "Broken texts of the kernel are as if they were not there",
            arguments: ["", ":", "1 0", "max", "flags", "\u{0}"])
        func broken(text: String) {
            let found = machine(cpuinfo: text, meminfo: text, cpuMax: text, memoryMax: text)
            #expect(found.quota == nil && found.available == nil && found.instructions.isEmpty)
        }

        @Test("What is missing is bad and has an advice")
        func missing() throws {
            let report = SystemReport.examine(
                machine(cpuMax: "150000 100000\n", memoryMax: "400000000\n"), onnxruntime: "/nowhere/libonnxruntime.so")
            let found = Dictionary(uniqueKeysWithValues: report.findings.map { ($0.subject, $0) })
            #expect(!report.isReady)
            #expect(found["ONNX Runtime"]?.outcome == .bad && found["ONNX Runtime"]?.advice != nil)
            #expect(found["memory"]?.outcome == .warn && found["memory"]?.advice?.contains("250 MB") == true)
            #expect(found["cores"]?.outcome == .warn && found["cores"]?.advice?.contains("--threads 1") == true)
            #expect(found["libav*"]?.outcome == .good)
        }

        @Test("The command looks at this machine, in words and as JSON")
        func command() async throws {
            try await withTemporaryFolder { folder in
                let pack = ["VISEME_AVATARS": Repository.robin.deletingLastPathComponent().path]
                let words = try await Program.run(["doctor", "--system"], in: folder, environment: pack)
                #expect(words.status == 0, "\(words.output)\(words.errors)")
                #expect(words.output.contains("works here") && words.output.contains("libx264"))
                let json = try await Program.run(["doctor", "--system", "--json"], in: folder, environment: pack)
                let document = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
                let findings = try #require(document?["findings"] as? [[String: Any]])
                #expect(
                    findings.contains { $0["subject"] as? String == "avatar" && $0["outcome"] as? String == "good" })
                #expect(try await Program.run(["doctor", "--system", "robin"], in: folder).status == 64)
            }
        }
    }
}
