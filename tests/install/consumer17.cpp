// sslcv.hpp as it is installed.
#include <sslcv/sslcv.hpp>

#include <iostream>

int main()
{
    sslcv::context_options options;

    options.threads = 1;
    if (sslcv::version() != EXPECTED_VERSION || sslcv::context(options).get_info().threads != 1) return 1;
    options.threads = -1;
    try {
        sslcv::context context(options);
        return 2;
    } catch (const sslcv::error &error) {
        if (error.status() != SSLCV_ERR_INVALID_ARGUMENT) return 3;
    }
    std::cout << "consumer17.cpp works\n";
    return 0;
}
