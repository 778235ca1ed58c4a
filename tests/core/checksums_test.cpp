// SHA-256 and CRC-32C against published answers.
#include "prefer/core/crc32c.hpp"
#include "prefer/core/sha256.hpp"

#include <gtest/gtest.h>

#include <string>

namespace prefer {
namespace {

// FIPS 180-4's examples (NIST's example values) and the empty message.
TEST(Sha256, PublishedAnswers) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PartsGiveTheWhole) {
  const std::string text(1000, 'x');
  for (const std::size_t n : {0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 999}) {
    Sha256 hash;
    hash.add(text.substr(0, n));
    hash.add(text.substr(n));
    EXPECT_EQ(hash.hex(), sha256(text)) << n;
    Sha256 portable(true);
    portable.add(text.substr(0, n));
    portable.add(text.substr(n));
    EXPECT_EQ(portable.hex(), sha256(text)) << n;
  }
  // From `head -c N /dev/zero | sha256sum` of GNU coreutils 9.1, at the lengths where padding changes shape.
  EXPECT_EQ(sha256(std::string(55, '\0')),
            "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7");
  EXPECT_EQ(sha256(std::string(56, '\0')),
            "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb");
  EXPECT_EQ(sha256(std::string(64, '\0')),
            "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
}

// RFC 3720, appendix B.4, and the check value of the CRC catalogue.
TEST(Crc32c, PublishedAnswers) {
  std::string ascending;
  for (char c = 0; c < 32; ++c) ascending += c;
  for (const bool portable : {false, true}) {
    EXPECT_EQ(crc32c("123456789", 0, portable), 0xE3069283u);
    EXPECT_EQ(crc32c(std::string(32, '\0'), 0, portable), 0x8A9136AAu);
    EXPECT_EQ(crc32c(std::string(32, '\xff'), 0, portable), 0x62A8AB43u);
    EXPECT_EQ(crc32c(ascending, 0, portable), 0x46DD794Eu);
    EXPECT_EQ(crc32c("", 0, portable), 0u);
  }
}

TEST(Crc32c, PartsGiveTheWhole) {
  const std::string text = "The quick brown fox jumps over the lazy dog";
  for (std::size_t n = 0; n <= text.size(); ++n)
    EXPECT_EQ(crc32c(text.substr(n), crc32c(text.substr(0, n))), crc32c(text));
}

}  // namespace
}  // namespace prefer
