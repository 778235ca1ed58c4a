// Lays sequences out as a forest: a trie of token runs for each group, then the lists of what is scored and
// read.
#include "prefer/data/forest.hpp"

#include "prefer/core/error.hpp"

#include <algorithm>
#include <map>
#include <memory>

namespace prefer {
namespace {

/// A run of tokens that belongs to all sequences that pass through it.
struct Node {
  std::span<const std::int32_t> tokens;
  std::vector<std::unique_ptr<Node>> children;
};

std::size_t common_prefix(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

/// Walks down as far as `rest` agrees, splits the run where it leaves, and hangs what remains there.
void insert(Node& root, std::span<const std::int32_t> rest) {
  Node* at = &root;
  while (!rest.empty()) {
    const auto child =
        std::ranges::find_if(at->children, [&](const auto& c) { return c->tokens[0] == rest[0]; });
    if (child == at->children.end()) {
      at->children.push_back(std::make_unique<Node>(Node{rest, {}}));
      return;
    }
    Node& next = **child;
    const std::size_t agree = common_prefix(next.tokens, rest);
    if (agree < next.tokens.size()) {
      auto tail = std::make_unique<Node>(Node{next.tokens.subspan(agree), std::move(next.children)});
      next.tokens = next.tokens.first(agree);
      next.children.clear();
      next.children.push_back(std::move(tail));
    }
    rest = rest.subspan(agree);
    at = &next;
  }
}

/// Groups in the order of their first appearance, each with the indices of its sequences.
std::vector<std::vector<std::size_t>> grouped(std::span<const Sequence> sequences) {
  std::map<std::int64_t, std::size_t> index;
  std::vector<std::vector<std::size_t>> groups;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    const auto [at, fresh] = index.try_emplace(sequences[s].group, groups.size());
    if (fresh) groups.emplace_back();
    groups[at->second].push_back(s);
  }
  return groups;
}

/// The tries of a layout: one a group with sharing, one a sequence without.
std::vector<Node> plant(std::span<const Sequence> sequences, Sharing sharing) {
  std::vector<Node> tries;
  for (const auto& members : grouped(sequences)) {
    for (const std::size_t s : members) {
      if (sharing == Sharing::off || s == members.front()) tries.emplace_back();
      insert(tries.back(), sequences[s].tokens);
    }
  }
  return tries;
}

void check(const Sequence& s, std::size_t index, std::size_t grades) {
  const auto size = static_cast<std::int64_t>(s.tokens.size());
  if (size == 0) fail("a forest wants sequences of at least one token; sequence ", index, " is empty");
  std::int64_t scored = 0;
  for (const ScoredRange& r : s.scored) {
    if (r.begin < 1 || r.end < r.begin || r.end > size) {
      fail("a scored range wants 1 <= begin <= end <= ", size, ", not ", r.begin, "..", r.end,
           " in sequence ", index);
    }
    scored += r.end - r.begin;
  }
  if (!s.weight.empty() && static_cast<std::int64_t>(s.weight.size()) != scored) {
    fail("sequence ", index, " has ", scored, " scored tokens and ", s.weight.size(), " weights");
  }
  if (s.grade.size() != grades)
    fail("sequence ", index, " has ", s.grade.size(), " grades, the first has ", grades);
  for (const Read& read : s.reads) {
    if (read.token < 0 || read.token >= size) {
      fail("a read wants a token in 0..", size - 1, ", not ", read.token, " in sequence ", index);
    }
  }
}

/// Emits a trie's segments, parents first, and remembers where each node begins.
void lay_out(const Node& node, std::int64_t parent, std::int64_t position,
             std::map<const Node*, std::int64_t>& begin, Forest& f) {
  for (const auto& child : node.children) {
    const auto at = static_cast<std::int64_t>(f.tokens.size());
    const auto length = static_cast<std::int64_t>(child->tokens.size());
    begin[child.get()] = at;
    f.tokens.insert(f.tokens.end(), child->tokens.begin(), child->tokens.end());
    for (std::int64_t i = 0; i < length; ++i) f.positions.push_back(position + i);
    f.segments.push_back({at, length, parent, position});
    lay_out(*child, static_cast<std::int64_t>(f.segments.size()) - 1, position + length, begin, f);
  }
}

/// Where each token of a sequence lies in the batch.
std::vector<std::int64_t> places(const Node& root, std::span<const std::int32_t> rest,
                                 const std::map<const Node*, std::int64_t>& begin) {
  std::vector<std::int64_t> result;
  const Node* at = &root;
  while (!rest.empty()) {
    const auto child =
        std::ranges::find_if(at->children, [&](const auto& c) { return c->tokens[0] == rest[0]; });
    at = child->get();
    for (std::size_t i = 0; i < at->tokens.size(); ++i)
      result.push_back(begin.at(at) + static_cast<std::int64_t>(i));
    rest = rest.subspan(at->tokens.size());
  }
  return result;
}

void append_sequence(const Sequence& s, const std::vector<std::int64_t>& place, std::int64_t group,
                     Forest& f) {
  const auto index = f.sequences();
  for (const ScoredRange& r : s.scored) {
    for (std::int64_t t = r.begin; t < r.end; ++t) {
      f.row.push_back(place[static_cast<std::size_t>(t - 1)]);
      f.label.push_back(s.tokens[static_cast<std::size_t>(t)]);
      f.sequence.push_back(index);
      f.term.push_back(static_cast<std::int64_t>(r.term));
    }
  }
  f.weight.insert(f.weight.end(), s.weight.begin(), s.weight.end());
  for (const Read& read : s.reads) {
    f.read_row.push_back(place[static_cast<std::size_t>(read.token)]);
    f.read_sequence.push_back(index);
    f.read_target.push_back(read.target);
  }
  f.group.push_back(group);
  f.role.push_back(s.role);
  f.grade.insert(f.grade.end(), s.grade.begin(), s.grade.end());
  f.share.push_back(s.share);
}

std::int64_t count(const Node& node) {
  auto total = static_cast<std::int64_t>(node.tokens.size());
  for (const auto& child : node.children) total += count(*child);
  return total;
}

}  // namespace

Sequence answer_after(std::span<const std::int32_t> prompt, std::span<const std::int32_t> answer) {
  Sequence s;
  s.tokens.assign(prompt.begin(), prompt.end());
  s.tokens.insert(s.tokens.end(), answer.begin(), answer.end());
  s.scored = {{std::max<std::int64_t>(1, std::ssize(prompt)), std::ssize(s.tokens), Term::completion}};
  return s;
}

Forest make_forest(std::span<const Sequence> sequences, Sharing sharing) {
  Forest f;
  if (sequences.empty()) return f;
  f.grades = static_cast<std::int64_t>(sequences[0].grade.size());
  const bool weighted = std::ranges::any_of(sequences, [](const Sequence& s) { return !s.weight.empty(); });
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    check(sequences[s], s, sequences[0].grade.size());
    if (weighted && sequences[s].weight.empty() && !sequences[s].scored.empty()) {
      fail("either all sequences of a forest have token weights or none; sequence ", s, " has none");
    }
  }
  const std::vector<Node> tries = plant(sequences, sharing);
  std::map<const Node*, std::int64_t> begin;
  for (const Node& trie : tries) lay_out(trie, -1, 0, begin, f);

  std::vector<const Node*> trie_of(sequences.size());
  std::vector<std::int64_t> group_of(sequences.size());
  std::size_t trie = 0;
  std::int64_t group = 0;
  for (const auto& members : grouped(sequences)) {
    for (const std::size_t s : members) {
      if (sharing == Sharing::off || s == members.front()) ++trie;
      trie_of[s] = &tries[trie - 1];
      group_of[s] = group;
    }
    ++group;
  }
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    append_sequence(sequences[s], places(*trie_of[s], sequences[s].tokens, begin), group_of[s], f);
  }
  return f;
}

std::int64_t forest_tokens(std::span<const Sequence> sequences, Sharing sharing) {
  std::int64_t total = 0;
  for (const Node& trie : plant(sequences, sharing)) total += count(trie);
  return total;
}

}  // namespace prefer
