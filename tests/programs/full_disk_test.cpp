// A disk that is really full, where the system lets a test have one: what a run says whose checkpoint did not
// fit, and what it goes on from.
#include "support/tiny_run.hpp"
#include "tests/programs/dpo.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace prefer::testing {
namespace {

/// Runs PROGRAM ARGUMENTS on a small disk of its own, which is filled once the run has a checkpoint but for
/// 16 KiB, a part of the next, and copies what the disk held in the end: sh -c kScript sh DISK COPY PROGRAM
/// ARGUMENTS. Ends with the program's code.
constexpr const char* kScript = R"(
disk=$1 copy=$2; shift 2
mount -t tmpfs -o size=4m tmpfs "$disk" || exit 77
"$@" output="$disk/out" 2> "$copy.err" & run=$!
while kill -0 $run && ! ls "$disk/out" | grep -q ^checkpoint-; do sleep 0.02; done
while kill -0 $run; do
  more=$(($(df -k --output=avail "$disk" | tail -n 1) - 16))
  if [ $more -gt 0 ]; then head -c ${more}k /dev/zero >> "$disk/filler"; fi
done
wait $run; code=$?
cp -r "$disk/out" "$copy" || exit 78
exit $code)";

/// The exit code of a command none of whose words has a single quote.
int shell(const CommandLine& words) {
  std::string line;
  for (const std::string& word : words) line += "'" + word + "' ";
  return WEXITSTATUS(std::system((line + "2> /dev/null").c_str()));
}

TEST(FullDisk, ACheckpointThatDoesNotFitIsSaidAndTheLastOneIsGoneOnFrom) {
  if (shell({"unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"}) != 0)
    GTEST_SKIP() << "a mount of one's own is not permitted here";
  const TinyRun tiny;
  PosixFs fs;
  const auto command = [&](const CommandLine& more) {
    CommandLine all = {"model=" + tiny.model, "train=" + tiny.pairs,
                       "batch_size=3",        "schedule.lr_scheduler_type=constant",
                       "checkpoint.every=1",  "checkpoint.keep=2",
                       "log_every=1000000",   "threads=1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  fs.make_directory(tiny.dir / "disk");
  const std::string copy = tiny.dir / "copy";
  CommandLine full = {
      "unshare", "-rm", "sh", "-c", kScript, "sh", tiny.dir / "disk", copy, PREFER_BIN_DIR "/dpo"};
  for (const std::string& word : command({"steps=1000000"})) full.push_back(word);
  const int code = shell(full);
  const std::string said = read_file(fs, copy + ".err", 1 << 24);
  ASSERT_EQ(code, 1) << said;

  for (const std::string& name : fs.list(copy)) EXPECT_FALSE(name.starts_with(".tmp-")) << name;
  const int64_t last = newest_checkpoint(fs, copy);
  ASSERT_GT(last, 0);
  const std::string failed = "/out/checkpoint-" + std::to_string(last + 1) + " could not be saved: ";
  EXPECT_NE(said.find(failed), std::string::npos) << failed << " is not in: " << said;
  EXPECT_NE(said.find(": No space left on device; "), std::string::npos) << said;
  EXPECT_NE(said.find(" were wanted, and "), std::string::npos) << said;

  const std::string steps = "steps=" + std::to_string(last + 2);
  const Ran rest = run("dpo", command({steps, "output=" + copy, "resume=true"}));
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_NE(rest.err.find("going on after step " + std::to_string(last)), std::string::npos) << rest.err;
  ASSERT_EQ(run("dpo", command({steps, "output=" + tiny.dir / "alone"})).code, 0);
  auto resumed = lasting_files(copy, last + 2), alone = lasting_files(tiny.dir / "alone", last + 2);
  EXPECT_TRUE(resumed == alone);
}

}  // namespace
}  // namespace prefer::testing
