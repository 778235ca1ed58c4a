// Statements of templates: scopes, loops, macros, captured blocks.
#include "src/text/jinja/machine.hpp"

#include "prefer/core/error.hpp"
#include "src/text/jinja/located.hpp"

#include <algorithm>

namespace prefer::jinja {

namespace {

Text generated(Text text) {
  text.mark_generated();
  return text;
}

}  // namespace

Value* Scope::find(std::string_view name) {
  for (Scope* scope = this; scope; scope = scope->parent.get()) {
    for (auto& [known, value] : scope->names) {
      if (known == name) return &value;
    }
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [known, old] : names) {
    if (known == name) {
      old = std::move(value);
      return;
    }
  }
  names.emplace_back(name, std::move(value));
}

Machine::Machine(const std::string& name, const TemplateLimits& limits, std::optional<std::int64_t> now)
    : name_(name), limits_(limits), now_(now), scope_(std::make_shared<Scope>()) {}

void Machine::charge(std::uint64_t steps) {
  steps_ += steps;
  if (steps_ > limits_.steps) fail("the template takes more than ", limits_.steps, " steps");
}

void Machine::check_size(const Text& made) const {
  if (made.size() > limits_.output_bytes)
    fail("the template makes a text of more than ", limits_.output_bytes, " bytes");
}

Value Machine::text(Text made) {
  charge_bytes(made.size());
  check_size(made);
  return made;
}

Text Machine::run(const std::vector<Stmt>& program) {
  Text out;
  execute(program, out);
  return out;
}

Machine::Flow Machine::execute(const std::vector<Stmt>& body, Text& out) {
  for (const Stmt& stmt : body) {
    const Flow flow = located(stmt.place, [&] {
      charge(1);
      return execute(stmt, out);
    });
    if (flow != Flow::on) return flow;
  }
  return Flow::on;
}

Machine::Flow Machine::execute(const Stmt& stmt, Text& out) {
  const auto write = [&](const Text& text) {
    out.append(text);
    charge_bytes(text.size());
    if (out.size() > limits_.output_bytes) fail("the output is longer than ", limits_.output_bytes, " bytes");
  };
  switch (stmt.kind) {
    case StmtKind::data:
      write(stmt.data);
      break;
    case StmtKind::output:
      write(to_text(evaluate(*stmt.value)));
      break;
    case StmtKind::branch:
      return execute(evaluate(*stmt.value).truthy() ? stmt.body : stmt.otherwise, out);
    case StmtKind::loop:
      return loop(stmt, out);
    case StmtKind::set:
      assign(*stmt.target, evaluate(*stmt.value));
      break;
    case StmtKind::set_block:
      set_block(stmt);
      break;
    case StmtKind::macro:
      define_macro(stmt);
      break;
    case StmtKind::filter_block:
      write(to_text(filtered(*stmt.value, text(capture(stmt.body)))));
      break;
    case StmtKind::generation:
      write(generated(capture(stmt.body)));
      break;
    case StmtKind::leave:
      return Flow::leave;
    case StmtKind::next:
      return Flow::next;
  }
  return Flow::on;
}

void Machine::set_block(const Stmt& stmt) {
  const Value block = text(capture(stmt.body));
  assign(*stmt.target, stmt.value ? filtered(*stmt.value, block) : block);
}

namespace {

/// Puts a scope in place of the machine's and the old one back, whatever happens.
class Entered {
 public:
  Entered(std::shared_ptr<Scope>& current, std::shared_ptr<Scope> entered)
      : current_(current), left_(current) {
    current_ = std::move(entered);
  }
  ~Entered() { current_ = left_; }

 private:
  std::shared_ptr<Scope>& current_;
  std::shared_ptr<Scope> left_;
};

std::shared_ptr<Scope> inside(const std::shared_ptr<Scope>& parent) {
  auto scope = std::make_shared<Scope>();
  scope->parent = parent;
  return scope;
}

/// The variable `loop`.
Value loop_variable(const std::vector<Value>& items, std::size_t i) {
  const auto count = static_cast<std::int64_t>(items.size());
  const auto index = static_cast<std::int64_t>(i);
  auto space = std::make_shared<Namespace>();
  space->set("index0", Value::integer(index));
  space->set("index", Value::integer(index + 1));
  space->set("revindex0", Value::integer(count - index - 1));
  space->set("revindex", Value::integer(count - index));
  space->set("first", Value::boolean(i == 0));
  space->set("last", Value::boolean(index + 1 == count));
  space->set("length", Value::integer(count));
  space->set("depth", Value::integer(1));
  space->set("depth0", Value::integer(0));
  space->set("previtem", i == 0 ? Value(Undefined{"loop.previtem"}) : items[i - 1]);
  space->set("nextitem", index + 1 == count ? Value(Undefined{"loop.nextitem"}) : items[i + 1]);
  space->set("cycle",
             std::make_shared<const Callable>(Callable{"loop.cycle", [i](Machine&, const Arguments& a) {
                                                         if (a.given.empty()) fail("loop.cycle needs items");
                                                         return a.given[i % a.given.size()];
                                                       }}));
  return space;
}

}  // namespace

Machine::Flow Machine::loop(const Stmt& stmt, Text& out) {
  std::vector<Value> items = iterate(evaluate(*stmt.value));
  charge(items.size());
  if (stmt.test) {
    std::erase_if(items, [&](const Value& candidate) {
      const Entered entered(scope_, inside(scope_));
      assign(*stmt.target, candidate);
      return !evaluate(*stmt.test).truthy();
    });
  }
  if (items.empty()) {
    const Entered entered(scope_, inside(scope_));
    return execute(stmt.otherwise, out);
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Entered entered(scope_, inside(scope_));
    charge(32);  // what `loop` costs to make
    scope_->set("loop", loop_variable(items, i));
    assign(*stmt.target, items[i]);
    if (execute(stmt.body, out) == Flow::leave) break;
  }
  return Flow::on;
}

Text Machine::capture(const std::vector<Stmt>& body) {
  const Entered entered(scope_, inside(scope_));
  Text out;
  if (execute(body, out) != Flow::on) fail("break or continue leaves a block that is being captured");
  return out;
}

void Machine::define_macro(const Stmt& stmt) {
  // The scope holds the macro, so the macro may not hold the scope.
  const std::weak_ptr<Scope> home = scope_;
  scope_->set(stmt.name,
              std::make_shared<const Callable>(
                  Callable{"macro " + stmt.name, [&stmt, home](Machine& machine, const Arguments& arguments) {
                             const std::shared_ptr<Scope> outer = home.lock();
                             if (!outer)
                               fail("macro ", stmt.name, " is called outside the block that defines it");
                             const Entered entered(machine.scope_, inside(outer));
                             return machine.call_macro(stmt, arguments);
                           }}));
}

Value Machine::call_macro(const Stmt& stmt, const Arguments& arguments) {
  if (macro_depth_ >= limits_.depth) fail("macros call each other deeper than ", limits_.depth);
  if (arguments.given.size() > stmt.parameters.size()) {
    fail("macro ", stmt.name, " takes at most ", stmt.parameters.size(), " arguments, not ",
         arguments.given.size());
  }
  for (const auto& [name, value] : arguments.named) {
    const auto known = std::find_if(stmt.parameters.begin(), stmt.parameters.end(),
                                    [&, &wanted = name](const auto& p) { return p.first == wanted; });
    if (known == stmt.parameters.end()) fail("macro ", stmt.name, " has no parameter named ", name);
  }
  for (std::size_t i = 0; i < stmt.parameters.size(); ++i) {
    const auto& [name, fallback] = stmt.parameters[i];
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&, &wanted = name](const auto& a) { return a.first == wanted; });
    if (i < arguments.given.size()) {
      scope_->set(name, arguments.given[i]);
    } else if (named != arguments.named.end()) {
      scope_->set(name, named->second);
    } else {
      scope_->set(name, fallback ? evaluate(*fallback) : Value(Undefined{name}));
    }
  }
  ++macro_depth_;
  Text out;
  const Flow flow = execute(stmt.body, out);
  --macro_depth_;
  if (flow != Flow::on) fail("break or continue leaves macro ", stmt.name);
  return text(std::move(out));
}

void Machine::assign(const Expr& target, const Value& value) {
  if (target.kind == ExprKind::name) return scope_->set(target.name, value);
  if (target.kind == ExprKind::attribute) {
    const Value holder = evaluate(*target.args[0]);
    if (!holder.space()) fail("attributes can be set on namespaces only, not on ", holder.type_name());
    return holder.space()->set(target.name, value);
  }
  const std::vector<Value> parts = iterate(value);
  if (parts.size() != target.args.size()) {
    fail("can't unpack ", parts.size(), " values into ", target.args.size(), " names");
  }
  for (std::size_t i = 0; i < parts.size(); ++i) assign(*target.args[i], parts[i]);
}

Value Machine::filtered(const Expr& chain, Value block) {
  const Value operand = chain.args[0] ? filtered(*chain.args[0], std::move(block)) : std::move(block);
  return located(chain.place, [&] { return filter(chain.name, operand, arguments(chain)); });
}

}  // namespace prefer::jinja
