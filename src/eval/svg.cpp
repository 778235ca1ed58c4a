// Line plots as SVG: round ticks, a grid, a legend, and colours that hold on light and dark pages.
#include "prefer/eval/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iomanip>
#include <limits>
#include <sstream>

namespace prefer {
namespace {

constexpr double kWidth = 440, kHeight = 250, kLeft = 58, kRight = 14, kTop = 34, kBottom = 34;
constexpr std::array kColours = {"#2f6fde", "#d9643a", "#2c9c69", "#9b59b6", "#b8860b", "#c0392b"};

/// An axis: its range widened to round ticks.
struct Scale {
  double low = 0, high = 1, tick = 1;

  Scale(double from, double to, int wanted, double least_tick = 0) {
    if (!(from <= to)) from = 0, to = 1;
    if (to - from < 1e-12 * std::max(1.0, std::abs(to))) {
      const double pad = from == 0 ? 1 : 0.1 * std::abs(from);
      from -= pad, to += pad;
    }
    const double raw = (to - from) / wanted;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    const double lead = raw / power;
    tick = std::max(power * (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10), least_tick);
    low = std::floor(from / tick) * tick;
    high = std::ceil(to / tick) * tick;
  }
  double share(double value) const { return (value - low) / (high - low); }
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void hold(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

std::string coordinate(double value) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(1) << value;
  return out.str();
}

void draw_axes(std::ostringstream& svg, const Scale& x, const Scale& y) {
  const double width = kWidth - kLeft - kRight;
  const double height = kHeight - kTop - kBottom;
  for (double value = y.low; value <= y.high + y.tick / 2; value += y.tick) {
    const std::string at = coordinate(kTop + height * (1 - y.share(value)));
    svg << "<line class=\"grid\" x1=\"" << kLeft << "\" x2=\"" << kWidth - kRight << "\" y1=\"" << at
        << "\" y2=\"" << at << "\"/><text x=\"" << kLeft - 6 << "\" y=\"" << at
        << "\" text-anchor=\"end\" dy=\"0.35em\">" << short_number(std::abs(value) < y.tick / 1e6 ? 0 : value)
        << "</text>";
  }
  for (double value = x.low; value <= x.high + x.tick / 2; value += x.tick) {
    svg << "<text x=\"" << coordinate(kLeft + width * x.share(value)) << "\" y=\"" << kHeight - kBottom + 16
        << "\" text-anchor=\"middle\">" << short_number(value) << "</text>";
  }
}

/// Curves of one name share a colour.
const char* colour_of(const Plot& plot, const Curve& curve) {
  std::vector<std::string> names;
  for (const Curve& c : plot.curves) {
    if (std::ranges::find(names, c.name) == names.end()) names.push_back(c.name);
  }
  return kColours[static_cast<std::size_t>(std::ranges::find(names, curve.name) - names.begin()) %
                  kColours.size()];
}

/// Names at the top right, each in its colour; one note for all dashed curves.
void draw_legend(std::ostringstream& svg, const Plot& plot) {
  double right = kWidth - kRight;
  const auto write = [&](const std::string& text, const std::string& style) {
    svg << "<text x=\"" << right << "\" y=\"18\" text-anchor=\"end\"" << style << ">" << escape_html(text)
        << "</text>";
    right -= 14 + 6.3 * static_cast<double>(text.size());
  };
  if (std::ranges::any_of(plot.curves, &Curve::held_out)) write("dashed: held out", "");
  if (std::ranges::count(plot.curves, false, &Curve::held_out) < 2) return;
  for (std::size_t c = plot.curves.size(); c-- > 0;) {
    const Curve& curve = plot.curves[c];
    if (!curve.held_out) write(curve.name, std::string(" style=\"fill:") + colour_of(plot, curve) + "\"");
  }
}

void draw_curve(std::ostringstream& svg, const Curve& curve, const Scale& x, const Scale& y,
                const char* colour, bool marked) {
  const double width = kWidth - kLeft - kRight;
  const double height = kHeight - kTop - kBottom;
  bool open = false;
  svg << "<path fill=\"none\" stroke=\"" << colour << "\" stroke-width=\"1.8\" stroke-linejoin=\"round\""
      << (curve.held_out ? " stroke-dasharray=\"5 4\"" : "") << " d=\"";
  for (const auto& [step, value] : curve.points) {
    if (!std::isfinite(value)) {
      open = false;
      continue;
    }
    svg << (open ? "L" : "M") << coordinate(kLeft + width * x.share(step)) << ' '
        << coordinate(kTop + height * (1 - y.share(value)));
    open = true;
  }
  svg << "\"/>";
  for (const auto& [step, value] : curve.points) {
    if (!(marked || curve.points.size() == 1) || !std::isfinite(value)) continue;
    svg << "<circle r=\"3\" fill=\"" << colour << "\" cx=\"" << coordinate(kLeft + width * x.share(step))
        << "\" cy=\"" << coordinate(kTop + height * (1 - y.share(value))) << "\"/>";
  }
}

}  // namespace

std::string render_svg(const Plot& plot) {
  Range across, up;
  for (const Curve& curve : plot.curves) {
    for (const auto& [step, value] : curve.points) across.hold(step), up.hold(value);
  }
  const bool steps = plot.across.empty();
  if (steps) across.hold(0), across.hold(1);  // whole numbers, from the beginning
  const Scale x(across.low, across.high, 6, steps ? 1 : 0), y(up.low, up.high, 4);
  std::ostringstream svg;
  svg << "<svg viewBox=\"0 0 " << kWidth << ' ' << kHeight << "\" role=\"img\" aria-label=\""
      << escape_html(plot.title) << "\"><text class=\"title\" x=\"" << kLeft << "\" y=\"18\">"
      << escape_html(plot.title) << (plot.unit.empty() ? "" : " (" + escape_html(plot.unit) + ")")
      << "</text>";
  draw_axes(svg, x, y);
  for (const Curve& curve : plot.curves) draw_curve(svg, curve, x, y, colour_of(plot, curve), !steps);
  if (!steps) {
    svg << "<text x=\"" << kWidth - kRight << "\" y=\"" << kHeight - 4 << "\" text-anchor=\"end\">"
        << escape_html(plot.across) << "</text>";
  }
  draw_legend(svg, plot);
  svg << "</svg>";
  return svg.str();
}

}  // namespace prefer
