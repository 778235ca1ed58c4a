// The log, on spdlog's sinks and without its registry.
#include "prefer/core/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <mutex>

namespace prefer {
namespace {

class CallbackSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit CallbackSink(std::function<void(std::string_view)> call) : call_(std::move(call)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    std::string_view line(text.data(), text.size());
    if (line.ends_with('\n')) line.remove_suffix(1);
    call_(line);
  }
  void flush_() override {}

 private:
  std::function<void(std::string_view)> call_;
};

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    default:
      return spdlog::level::err;
  }
}

}  // namespace

class Log::Sink {
 public:
  Sink(spdlog::sink_ptr sink, const char* pattern) : logger("prefer", std::move(sink)) {
    logger.set_pattern(pattern);
    logger.set_level(spdlog::level::trace);  // Log itself leaves out what is below its level
  }
  spdlog::logger logger;
};

Log::Log(LogLevel level)
    : level_(level),
      sink_(
          std::make_shared<Sink>(std::make_shared<spdlog::sinks::stderr_color_sink_mt>(), "%T %^%l%$: %v")) {}

Log::Log(LogLevel level, std::function<void(std::string_view)> sink)
    : level_(level),
      sink_(std::make_shared<Sink>(std::make_shared<CallbackSink>(std::move(sink)), "%l: %v")) {}

void Log::put(LogLevel level, std::string_view text) const {
  // As an argument, so that braces in the text are not taken for a format.
  sink_->logger.log(level_of(level), spdlog::string_view_t(text.data(), text.size()));
}

}  // namespace prefer
