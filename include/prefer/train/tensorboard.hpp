// The records of a TensorBoard event file: length, masked CRC-32C, a protobuf Event, its CRC.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace prefer {

/// The first record of a file.
std::string tensorboard_version(double unix_time);
/// One record that holds scalars by tag.
std::string tensorboard_scalars(double unix_time, std::int64_t step,
                                const std::map<std::string, double>& scalars);

}  // namespace prefer
