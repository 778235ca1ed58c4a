// Writes the report page: figures, curves, samples side by side, what was skipped, and the config.
#include "prefer/eval/report.hpp"

#include <cmath>
#include <cstdio>
#include <sstream>

namespace prefer {
namespace {

constexpr const char* kStyle = R"css(
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d8dee6;--paper:#fff;--card:#f6f8fa;--good:#1f8a5b;--bad:#b4472f}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#343d49;--paper:#14181e;--card:#1c222a;--good:#4cc38a;--bad:#e5836b}}
body{font:15px/1.5 system-ui,"DejaVu Sans",sans-serif;color:var(--ink);background:var(--paper);max-width:960px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
p.summary{font-size:1.05rem}table{border-collapse:collapse;width:100%;table-layout:fixed}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
th{color:var(--soft);font-weight:600}td.number{font-variant-numeric:tabular-nums}.interval,.note{color:var(--soft);font-size:.87em}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:.8rem}
svg{background:var(--card);border-radius:6px;width:100%;height:auto}svg text{font-size:11px;fill:var(--soft)}
svg text.title{font-size:12.5px;font-weight:600;fill:var(--ink)}svg line.grid{stroke:var(--line)}
.said{white-space:pre-wrap}.better{color:var(--good)}.worse{color:var(--bad)}pre{background:var(--card);padding:.8rem;border-radius:6px;overflow-x:auto}
)css";

std::string figure_cell(const Interval& value) {
  if (std::isnan(value.mean)) return "<td>not measured</td>";
  std::ostringstream out;
  out << "<td class=\"number\">" << short_number(value.mean);
  if (value.low != value.high) {
    out << " <span class=\"interval\">[" << short_number(value.low) << ", " << short_number(value.high)
        << "]</span>";
  }
  out << "</td>";
  return out.str();
}

void write_figures(std::ostringstream& page, const Report& report) {
  if (report.figures.empty()) return;
  page << "<h2>Before and after</h2><table><tr><th>figure</th><th>before</th><th>after</th><th>measured "
          "on</th></tr>";
  for (const Figure& f : report.figures) {
    page << "<tr><td>" << escape_html(f.name) << "</td>" << figure_cell(f.before) << figure_cell(f.after)
         << "<td class=\"note\">" << escape_html(f.note) << "</td></tr>";
  }
  page << "</table><p class=\"note\">Brackets hold 95 % intervals. They come from a bootstrap that resamples "
          "whole prompts, or what the note names; where all cases are alike, Wilson's interval stands.</p>";
}

/// The plots over steps, or those over something else.
void write_plots(std::ostringstream& page, const Report& report, bool over_steps) {
  bool any = false;
  for (const Plot& plot : report.plots) {
    if (plot.across.empty() != over_steps) continue;
    if (!any) page << (over_steps ? "<h2>Curves</h2>" : "") << "<div class=\"plots\">";
    page << render_svg(plot);
    any = true;
  }
  if (any) page << "</div>";
}

std::string said(const std::string& text, const std::optional<double>& reward, const char* verdict) {
  std::string cell = "<td><span class=\"said\">" + escape_html(text) + "</span>";
  if (reward) {
    cell += std::string("<br><span class=\"interval") + verdict + "\">reward " + short_number(*reward) +
            "</span>";
  }
  return cell + "</td>";
}

const char* verdict_of(const SideBySide& s) {
  if (!s.reward_before || !s.reward_after || *s.reward_after == *s.reward_before) return "";
  return *s.reward_after > *s.reward_before ? " better" : " worse";
}

void write_samples(std::ostringstream& page, const Report& report) {
  if (report.samples.empty()) return;
  page << "<h2>Samples</h2><table><tr><th>prompt</th><th>before</th><th>after</th></tr>";
  for (const SideBySide& s : report.samples) {
    page << "<tr><td><span class=\"said\">" << escape_html(s.prompt) << "</span>";
    if (!s.whose.empty()) page << "<br><span class=\"note\">" << escape_html(s.whose) << "</span>";
    page << "</td>" << said(s.before, s.reward_before, "") << said(s.after, s.reward_after, verdict_of(s))
         << "</tr>";
  }
  page << "</table>";
  if (!report.samples_note.empty())
    page << "<p class=\"note\">" << escape_html(report.samples_note) << "</p>";
}

void write_skipped(std::ostringstream& page, const Report& report) {
  page << "<h2>Skipped and truncated</h2>";
  if (report.skipped.empty()) {
    page << "<p>Nothing was skipped.</p>";
    return;
  }
  page << "<table><tr><th>what</th><th>how many</th></tr>";
  for (const auto& [reason, count] : report.skipped) {
    page << "<tr><td>" << escape_html(reason) << "</td><td class=\"number\">" << count << "</td></tr>";
  }
  page << "</table>";
}

}  // namespace

std::string render_html(const Report& report) {
  std::ostringstream page;
  page << "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
          "content=\"width=device-width,initial-scale=1\"><title>"
       << escape_html(report.title) << "</title><style>" << kStyle << "</style></head><body>\n<h1>"
       << escape_html(report.title) << "</h1><p class=\"summary\">" << escape_html(report.summary) << "</p>";
  write_figures(page, report);
  write_plots(page, report, /*over_steps=*/false);
  write_samples(page, report);
  write_plots(page, report, /*over_steps=*/true);
  if (!report.facts.empty()) {
    page << "<h2>The run</h2><table>";
    for (const auto& [name, value] : report.facts) {
      page << "<tr><th>" << escape_html(name) << "</th><td>" << escape_html(value) << "</td></tr>";
    }
    page << "</table>";
  }
  write_skipped(page, report);
  page << "<h2>Config</h2><pre>" << escape_html(report.config) << "</pre></body></html>\n";
  return page.str();
}

std::string escape_html(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "not a number" : value > 0 ? "infinite" : "-infinite";
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace prefer
