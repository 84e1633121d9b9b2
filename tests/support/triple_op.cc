// Triple, an op that TensorFlow does not have: y = 3 x.

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"

REGISTER_OP("Triple").Input("x: float").Output("y: float");

class Triple : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tensorflow::OpKernelContext* context) override {
    const tensorflow::Tensor& x = context->input(0);
    tensorflow::Tensor* y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    for (int64_t i = 0; i < x.NumElements(); ++i) {
      y->flat<float>()(i) = 3 * x.flat<float>()(i);
    }
  }
};

REGISTER_KERNEL_BUILDER(Name("Triple").Device(tensorflow::DEVICE_CPU), Triple);
