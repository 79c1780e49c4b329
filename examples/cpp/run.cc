// A sparse model in onnxruntime from C++, with the native kernels of sparse-qonnx.
//
//   run model.onnx [libsparse_qonnx_ops.so]
//
// Without the library onnxruntime runs the function bodies that the file brings: the same values, more slowly.

#include <onnxruntime_cxx_api.h>

#include <array>
#include <cstdint>
#include <iostream>
#include <vector>

int main(int argc, char** argv) {
    if (argc < 2) {
        std::cerr << "usage: run MODEL.onnx [LIBRARY]\n";
        return 2;
    }
    Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "sparse");
    Ort::SessionOptions options;
    if (argc > 2) {
        void* library = nullptr;  // stays loaded as long as the process
        Ort::ThrowOnError(Ort::GetApi().RegisterCustomOpsLibrary(options, argv[2], &library));
    }
    Ort::Session session(env, argv[1], options);

    // The name and shape of the input: [batch, height, width, channels], -1 for the batch.
    Ort::AllocatorWithDefaultOptions allocator;
    const auto input_name = session.GetInputNameAllocated(0, allocator);
    const auto output_name = session.GetOutputNameAllocated(0, allocator);
    Ort::TypeInfo type = session.GetInputTypeInfo(0);
    std::vector<std::int64_t> shape = type.GetTensorTypeAndShapeInfo().GetShape();
    shape[0] = 1;
    const std::int64_t width = shape[2], channels = shape[3];

    // One event with three lit pixels.
    std::vector<float> event(static_cast<std::size_t>(shape[1] * width * channels), 0.0f);
    for (const std::array<std::int64_t, 2>& place : {std::array<std::int64_t, 2>{1, 2}, {2, 2}, {2, 3}}) {
        event[static_cast<std::size_t>((place[0] * width + place[1]) * channels)] = 0.75f;
    }

    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    Ort::Value input = Ort::Value::CreateTensor<float>(memory, event.data(), event.size(), shape.data(), shape.size());
    const char* inputs[] = {input_name.get()};
    const char* outputs[] = {output_name.get()};
    const std::vector<Ort::Value> results = session.Run(Ort::RunOptions{nullptr}, inputs, &input, 1, outputs, 1);

    const std::size_t count = results[0].GetTensorTypeAndShapeInfo().GetElementCount();
    const float* values = results[0].GetTensorData<float>();
    std::cout.precision(9);
    for (std::size_t i = 0; i < count; ++i) std::cout << values[i] << (i + 1 < count ? ' ' : '\n');
    return 0;
}
