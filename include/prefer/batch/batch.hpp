// What a model runs and a loss reads: a forest of segments, a list of scored tokens, and named columns.
#pragma once

#include "prefer/data/forest.hpp"
#include "prefer/tensor.hpp"

#include <map>
#include <string>
#include <vector>

namespace prefer {

/// Which axis a named column runs along.
enum class Axis { scored, sequences, reads, groups };

/// A named extra of a batch, with a declared axis.
struct Column {
  Axis axis;
  Tensor values;
};

/// Rows read for their hidden state rather than for a next token: rewards, values, process steps.
struct Reads {
  Tensor row = {};       // [P] int64
  Tensor sequence = {};  // [P] int64
  Tensor target = {};    // [P] float, what each should say; NaN = not given
};

/// A micro-batch, which has no padding. Shapes: T tokens, G segments, M scored tokens, S sequences, N groups,
/// P reads. group, role and share lie on the CPU like the segments, since the host decides by them what is
/// computed; all else on the device.
struct Batch {
  Tensor tokens;                  // [T] int64
  Tensor positions;               // [T] int64, position inside the sequence a token belongs to
  std::vector<Segment> segments;  // [G]
  Tensor row;                     // [M] int64, which hidden state predicts the scored token
  Tensor label;                   // [M] int64, the scored token
  Tensor sequence;                // [M] int64, which sequence it belongs to
  Tensor term;                    // [M] int64, which term it serves (prefer::Term)
  Tensor weight;                  // [M] float, or undefined: all one
  Tensor group;                   // [S] int64
  Tensor role;                    // [S] int64 (prefer::role)
  Tensor grade;                   // [S, A] float; NaN = not given
  Tensor share;                   // [S] float, weight of the record
  Reads reads;
  int64_t slot = 0;  ///< which slot of its step it is

  int64_t sequences() const { return group.size(0); }  ///< S
  int64_t scored() const { return row.size(0); }       ///< M

  /// Adds or replaces a column; throws Error when its length is not that of its axis.
  void set(const std::string& name, Axis axis, Tensor values);
  /// A column by name; throws Error that lists those there are.
  const Tensor& column(const std::string& name) const;
  bool has(const std::string& name) const { return columns_.contains(name); }

 private:
  std::map<std::string, Column> columns_;
};

/// The tensors of a forest on `device`.
Batch make_batch(const Forest& forest, at::Device device = at::kCPU);

}  // namespace prefer
