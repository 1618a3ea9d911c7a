// The same from C++11, with a deleter as C++ programs have it.
#include <sslcv/sslcv.h>

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

struct context_deleter {
    void operator()(sslcv_context *context) const
    {
        sslcv_context_destroy(context);
    }
};

static std::unique_ptr<sslcv_context, context_deleter> make_context(const sslcv_context_options &options)
{
    sslcv_context *context = nullptr;

    if (sslcv_context_create(&options, &context) != SSLCV_OK) throw std::runtime_error(sslcv_last_error());
    return std::unique_ptr<sslcv_context, context_deleter>(context);
}

int main()
{
    sslcv_context_options options;

    if (sslcv_context_options_init(&options, sizeof options) != SSLCV_OK) return 1;
    options.threads = 1;
    if (!make_context(options)) return 2;
    options.threads = -1;
    try {
        make_context(options);
        return 3;
    } catch (const std::runtime_error &error) {
        if (std::string(error.what()).find("threads is -1") == std::string::npos) return 4;
    }
    std::cout << "consumer.cpp works\n";
    return 0;
}
