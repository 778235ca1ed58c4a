// Scores records under a frozen model; keeps the result in a safetensors file named after its content.
#include "prefer/objectives/reference_cache.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/safetensors.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/objectives/logprob.hpp"

#include <numeric>

namespace prefer {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

template <class T>
std::vector<T> read_all(const SafetensorsFile& file, const char* name) {
  const StoredTensor& tensor = file.at(name);
  std::vector<T> values(tensor.bytes / sizeof(T));
  file.read(tensor, std::as_writable_bytes(std::span(values)));
  return values;
}

std::string checksum(const std::vector<int64_t>& lengths, const std::vector<float>& values) {
  Sha256 hash;
  hash.add(bytes_of(lengths));
  hash.add(bytes_of(values));
  return hash.hex();
}

std::vector<ScoredColumn> columns_in(Fs& fs, const std::string& path) {
  const SafetensorsFile file(fs, path);
  const auto lengths = read_all<int64_t>(file, "lengths");
  const auto values = read_all<float>(file, "logprobs");
  const auto written = file.metadata().find("sha256");
  if (written == file.metadata().end() || written->second != checksum(lengths, values) ||
      std::accumulate(lengths.begin(), lengths.end(), int64_t{0}) != static_cast<int64_t>(values.size())) {
    fail(path,
         ": lengths and logprobs are not what its header says (SHA-256); remove the file, and they are ",
         "computed again");
  }
  std::vector<ScoredColumn> columns;
  auto at = values.begin();
  for (const int64_t length : lengths) {
    if (length < 0 || length > values.end() - at) break;
    columns.emplace_back(at, at + length);
    at += length;
  }
  if (columns.size() != lengths.size() || at != values.end())
    fail(path, ": lengths do not cut the ", values.size(), " log-probs there are; remove the file");
  return columns;
}

void write_columns(Fs& fs, const std::string& folder, const std::string& key,
                   const std::vector<ScoredColumn>& columns) {
  std::vector<int64_t> lengths;
  std::vector<float> values;
  for (const ScoredColumn& column : columns) {
    lengths.push_back(static_cast<int64_t>(column.size()));
    values.insert(values.end(), column.begin(), column.end());
  }
  make_directories(fs, folder);
  const std::string path = join_path(folder, key + ".safetensors"), temporary = path + ".tmp";
  remove_all(fs, temporary);
  const auto lengths_bytes = bytes_of(lengths), values_bytes = bytes_of(values);
  make_or_remove(fs, temporary, static_cast<int64_t>(lengths_bytes.size() + values_bytes.size()), [&] {
    write_safetensors(
        fs, temporary,
        {stored("lengths", StoredType::kI64, {static_cast<int64_t>(lengths.size())}, lengths_bytes),
         stored("logprobs", StoredType::kF32, {static_cast<int64_t>(values.size())}, values_bytes)},
        {{"format", "pt"}, {"sha256", checksum(lengths, values)}});
    fs.rename(temporary, path);
  });
  fs.sync_directory(folder);
}

}  // namespace

std::vector<ScoredColumn> read_columns(const RecordSource& source, Axis axis,
                                       const std::function<Tensor(const Batch&)>& read,
                                       const Progress& progress) {
  const c10::NoGradGuard frozen;
  const RecordOrder& order = source.order();
  RecordSource all(std::make_shared<const std::vector<Record>>(source.records()),
                   {.batch_size = source.size(),
                    .shuffle = false,
                    .share_prefixes = order.share_prefixes,
                    .tokens_per_slot = order.tokens_per_slot},
                   source.device());
  std::vector<ScoredColumn> columns;
  for (const Slot& slot : all.plan(1).slots) {
    const Batch batch = all.batch(1, slot);
    const Tensor values = read(batch).to(at::kCPU, at::kFloat).contiguous();  // [M] or [P]
    const Tensor sequence = axis == Axis::reads ? batch.reads.sequence : batch.sequence;
    const Tensor owner = batch.group.index_select(0, sequence.to(at::kCPU));  // [M] or [P]
    const std::size_t first = columns.size();
    columns.resize(first + slot.records.size());
    for (int64_t i = 0; i < values.size(0); ++i) {
      columns[first + static_cast<std::size_t>(owner.const_data_ptr<int64_t>()[i])].push_back(
          values.const_data_ptr<float>()[i]);
    }
    if (progress) progress(static_cast<int64_t>(columns.size()), source.size());
  }
  return columns;
}

std::vector<ScoredColumn> score_records(const Model& reference, const RecordSource& source,
                                        const Progress& progress) {
  return read_columns(
      source, Axis::scored, [&](const Batch& batch) { return token_logp(reference, batch); }, progress);
}

std::string reference_key(const std::vector<Record>& records, const std::string& weights,
                          const std::string& how) {
  Sha256 hash;
  hash.add(how);
  for (const Record& record : records) {
    for (const Sequence& s : record) {
      hash.add(bytes_of(s.tokens));
      for (const ScoredRange& range : s.scored) hash.add(std::as_bytes(std::span(&range.begin, 2)));
      hash.add("|");
    }
  }
  hash.add(weights);
  return hash.hex();
}

std::vector<ScoredColumn> cached_reference(Fs& fs, const std::string& folder, const std::string& key,
                                           const std::function<std::vector<ScoredColumn>()>& compute) {
  const std::string path = join_path(folder, key + ".safetensors");
  if (fs.exists(path)) return columns_in(fs, path);
  std::vector<ScoredColumn> columns = compute();
  write_columns(fs, folder, key, columns);
  return columns;
}

}  // namespace prefer
