// own_loss: the DPO trainer with a loss of one's own; every key of dpo works, and loss.margin besides.
#include "prefer/prefer.hpp"

/// Hinge on the reward margin, Zhao et al. 2023, eq. 4 (arXiv 2305.10425), with DPO's reward in place of the
/// likelihood:
///   loss = max(0, margin - beta h),  h = (log pi(y_w|x) - log ref(y_w|x)) - (log pi(y_l|x) - log
///   ref(y_l|x)).
struct MyLoss {
  static constexpr const char* name = "mine";
  double beta = 0.1;
  double margin = 1;

  prefer::Tensor operator()(const prefer::Pairs& p) const {
    return at::relu(margin - beta * (p.chosen.ratio() - p.rejected.ratio()));  // [N]
  }
  void describe(prefer::Fields& f) {
    f("beta", beta, "pull towards the reference; larger stays closer", prefer::positive());
    f("margin", margin, "reward margin beyond which a pair teaches nothing more", prefer::positive());
  }
};

struct MyConfig : prefer::DpoConfig {
  MyConfig() { loss = MyLoss{}; }
};

int main(int argc, char** argv, char** envp) {
  return prefer::run_program<MyConfig>(argc, argv, [&](const MyConfig& config) {
    prefer::Process process(config.process, prefer::environment(envp));
    prefer::DpoTrainer(config, process).train();
  });
}
