// A model as a Hugging Face folder, made under another name, which it changes when it is whole.
#include "prefer/core/error.hpp"
#include "prefer/core/safetensors.hpp"
#include "prefer/model/load.hpp"

namespace prefer {
namespace {

StoredType stored_type(at::ScalarType type) {
  if (type == at::kBFloat16) return StoredType::kBf16;
  return type == at::kDouble ? StoredType::kF64 : StoredType::kF32;
}

void write_new_file(Fs& fs, const std::string& path, const std::string& text) {
  File file = File::create(fs, path);
  file.write(text);
  file.sync();
  file.close();
}

// On the CPU one after the other, when its turn comes to be written.
TensorToStore to_store(const std::string& name, const Tensor& weight) {
  const auto produce = [weight](const TensorToStore::Sink& sink) {
    const Tensor bytes = weight.detach().to(at::kCPU).contiguous();
    sink({static_cast<const std::byte*>(bytes.const_data_ptr()), bytes.nbytes()});
  };
  return {name, stored_type(weight.scalar_type()), weight.sizes().vec(), produce};
}

/// Refuses a model that load_model would not read back: one that lacks weights, as a frozen copy does.
void check_names(const std::string& folder, const Transformer& model) {
  for (const WeightSpec& spec : weight_specs(model.config())) {
    if (!model.weights().contains(spec.name))
      fail(folder, ": a model without ", spec.name,
           " was to be written here; a frozen copy does not hold its weights");
  }
}

/// Where a file system knows no exchange, the old folder stands while the new one takes its name.
std::string aside(const std::string& folder) {
  return join_path(parent_directory(folder), ".old-" + folder.substr(folder.rfind('/') + 1));
}

/// Puts the folder `making` in the place of `folder`: in one step where the file system can, and `making` is
/// then the old one. Elsewhere by two renames; where the second fails, the old folder is there again.
void put_in_place(Fs& fs, const std::string& making, const std::string& folder) {
  if (!fs.exists(folder)) {
    fs.rename(making, folder);
    return;
  }
  if (fs.exchange(making, folder)) return;
  remove_all(fs, aside(folder));
  fs.rename(folder, aside(folder));
  try {
    fs.rename(making, folder);
  } catch (const Error&) {
    try {
      fs.rename(aside(folder), folder);
    } catch (const Error&) {  // the first failure is the one to tell
    }
    throw;
  }
}

}  // namespace

void save_model(Fs& fs, const std::string& folder, const Transformer& model,
                const std::map<std::string, std::string>& files) {
  const std::string making = folder + ".tmp";
  if (fs.exists(folder) && !fs.exists(join_path(folder, "config.json"))) {
    fail(folder,
         ": a model was to be written here, and something that is not a model stands here; move it or name "
         "another folder");
  }
  check_names(folder, model);
  make_directories(fs, parent_directory(folder));
  remove_all(fs, making);
  ModelConfig config = model.config();
  config.dtype = dtype_name(model.dtype());
  std::vector<TensorToStore> tensors;
  int64_t bytes = 0;
  for (const auto& [name, weight] : model.weights()) {
    tensors.push_back(to_store(name, weight));
    bytes += static_cast<int64_t>(weight.nbytes());
  }
  for (const auto& [_, text] : files) bytes += static_cast<int64_t>(text.size());
  make_or_remove(fs, making, bytes, [&] {
    fs.make_directory(making);
    write_new_file(fs, join_path(making, "config.json"), dump(write_model_config(config), 2) + "\n");
    write_new_file(fs, join_path(making, "generation_config.json"),
                   dump(write_generation_config(config), 2) + "\n");
    write_safetensors(fs, join_path(making, "model.safetensors"), std::move(tensors));
    for (const auto& [name, text] : files) write_new_file(fs, join_path(making, name), text);
    fs.sync_directory(making);
    put_in_place(fs, making, folder);
  });
  // What was there before goes when the new folder surely has its name.
  fs.sync_directory(parent_directory(folder));
  remove_all(fs, making);
  remove_all(fs, aside(folder));
}

}  // namespace prefer
