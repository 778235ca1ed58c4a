// Rows of a table by token, or of hidden states by place, with gradient.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// table [V, D], ids [T] int64 -> [T, D]; the table may be any tensor, hidden states too. The gradient of a
/// row that several tokens share is summed in float at least, in the order of the tokens. Throws Error when
/// shapes do not fit or an id lies outside the table; on CUDA, where a look at the ids would wait for the
/// device, such a token gets a row of NaN.
Tensor embed(const Tensor& table, const Tensor& ids);

}  // namespace prefer
