// The report of a run: one self-contained HTML page, readable without script and without a network.
#pragma once

#include "prefer/eval/bootstrap.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace prefer {

/// A curve over steps.
struct Curve {
  std::string name = {};
  /// (step, value), or (Plot::across, value); what is not finite breaks the line.
  std::vector<std::pair<double, double>> points = {};
  bool held_out = false;  ///< drawn dashed, in the colour of the curve of its name
};

/// Curves drawn into one plot.
struct Plot {
  std::string title = {};
  std::string unit = {};  ///< of the vertical axis
  std::vector<Curve> curves = {};
  /// What the horizontal axis is, where it is not steps: every point is then marked.
  std::string across = {};
};

/// A figure measured before and after training, with intervals where it has them.
struct Figure {
  std::string name = {};
  Interval before = {};
  Interval after = {};
  std::string note = {};  ///< what was measured on what
};

/// A prompt and what the model says, before and after.
struct SideBySide {
  std::string prompt = {};
  std::string before = {};
  std::string after = {};
  std::optional<double> reward_before = {};
  std::optional<double> reward_after = {};
  std::string whose = {};  ///< who says what stands under `after`, where a page has several
};

struct Report {
  std::string title = {};
  std::string summary = {};  ///< one or two sentences: what was done, what came out
  std::vector<std::pair<std::string, std::string>> facts = {};  ///< model, data, device, time, memory
  std::vector<Figure> figures = {};
  std::vector<Plot> plots = {};
  std::vector<SideBySide> samples = {};
  std::string samples_note = {};  ///< how they were drawn, and what their reward is
  std::vector<std::pair<std::string, int64_t>> skipped = {};  ///< reason and count; an empty list is said too
  std::string config = {};                                    ///< resolved, as JSON text
};

/// The page. Text from outside is escaped; curves are SVG.
std::string render_html(const Report& report);

/// A line plot as an SVG element.
std::string render_svg(const Plot& plot);

/// Text made safe between tags and in attributes.
std::string escape_html(std::string_view text);

/// A number with four significant digits, as a person would write it.
std::string short_number(double value);

}  // namespace prefer
