// Whether another model of a run reads the same tokens.
#include "prefer/core/fs.hpp"
#include "prefer/trainers/run.hpp"
#include "support/error.hpp"
#include "support/tiny_run.hpp"
#include "tests/malformed/good.hpp"

#include <gtest/gtest.h>

namespace prefer::testing {
namespace {

TEST(CheckTokenizer, ReadsAGgufWhateverItIsCalled) {
  const TinyRun tiny;
  PosixFs fs;
  for (const std::string name : {"other.gguf", "other"}) {
    const std::string other = tiny.dir / name;
    write_file_atomically(fs, other, model_gguf());
    EXPECT_EQ(error_of([&] { check_tokenizer(fs, "reference", other, *load_tokenizer(tiny.model), "ours"); }),
              "reference=" + other + " has another tokenizer than model=ours");
    EXPECT_EQ(error_of([&] { check_tokenizer(fs, "reference", other, *load_tokenizer(other), "ours"); }), "");
  }
}

}  // namespace
}  // namespace prefer::testing
