/**
 * @file sslcv.hpp
 * The library for C++17: handles that free themselves, failures that throw, any callable as a callback. Header only.
 *
 *     sslcv::context_options options;
 *     options.threads = 1;
 *     sslcv::context context(options);
 *     sslcv::dataset photos = sslcv::dataset::folder(context, "photos");
 *     sslcv::method_options method;
 *     method.dataset = photos.get();
 *     sslcv::trainer trainer(context, "simclr", method);
 *     trainer.add_hook([](const sslcv_progress &now) { std::cout << now.step << ": " << now.loss << '\n'; });
 *     trainer.run();
 *     trainer.get_backbone().get_state().save("backbone.safetensors");
 *
 * A class for each handle, with the C functions as members: sslcv_trainer_run(trainer, 0) is trainer.run(). What a
 * function does stands at the C function; here is what C++ adds:
 *
 *   Handles    Move only, never NULL unless moved from; get() for C calls. sslcv::share(x) makes a second owner.
 *              Objects keep alive what they use, so they may be destroyed in any order.
 *   Options    context_options and so on are the C structs, set to their defaults. Texts and arrays that their fields
 *              point to must live through the call that takes them.
 *   Failure    A failing call throws sslcv::error with the library's message. No exception passes through the library:
 *              what a callback throws is kept, ends the call, and is thrown again when the call has returned. Where it
 *              succeeds all the same (a data set replaces an unreadable sample) the exception is dropped, as is one
 *              that is thrown on a thread of the library's own or where nothing can be stopped (log).
 *   Callbacks  Are kept as long as the library may call them. Handles that a callback is lent are lent for the call. A
 *              hook that owns its trainer keeps it for ever.
 *   Borrowed   Tensors and texts that point into a handle say how long they live as the C function does.
 */
#ifndef SSLCV_SSLCV_HPP
#define SSLCV_SSLCV_HPP

#include "sslcv.h"

#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <istream>
#include <iterator>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sslcv {

/* ---- failures ---- */

/** A call failed: what() is the library's message, status() one of SSLCV_ERR_*. */
class error : public std::runtime_error {
  public:
    error(sslcv_status status, const char *message) : std::runtime_error(message), status_(status) {}
    sslcv_status status() const noexcept { return status_; }

  private:
    sslcv_status status_;
};

namespace detail {

/** What callbacks throw during the innermost call that this thread is inside. */
inline std::exception_ptr *&thrown()
{
    static thread_local std::exception_ptr *innermost = nullptr;
    return innermost;
}

class frame {
  public:
    frame() : outer_(thrown()) { thrown() = &mine_; }
    ~frame() { thrown() = outer_; }
    frame(const frame &) = delete;
    frame &operator=(const frame &) = delete;
    [[noreturn]] void fail(sslcv_status status)
    {
        if (mine_) std::rethrow_exception(mine_);
        throw error(status, sslcv_last_error());
    }

  private:
    std::exception_ptr mine_, *outer_;
};

/** function(arguments...), or throw. */
template <class... P, class... A>
void call(sslcv_status (*function)(P...), A &&...arguments)
{
    frame here;
    const sslcv_status status = function(std::forward<A>(arguments)...);
    if (status != SSLCV_OK) here.fail(status);
}

/** The same, but false where there is no such thing. */
template <class... P, class... A>
bool found(sslcv_status (*function)(P...), A &&...arguments)
{
    frame here;
    const sslcv_status status = function(std::forward<A>(arguments)...);
    if (status != SSLCV_OK && status != SSLCV_ERR_NOT_FOUND) here.fail(status);
    return status == SSLCV_OK;
}

/** The body of a callback: nothing leaves it by throwing. */
template <class R, class F>
R guarded(R failed, F &&body) noexcept
{
    try {
        return body();
    } catch (...) {
        if (thrown()) *thrown() = std::current_exception();
        return failed;
    }
}

/** Behind user pointers. The library calls drop<T> when it needs it no more; until it has taken it, hold owns it. */
template <class T>
void drop(void *user)
{
    delete static_cast<T *>(user);
}

template <class T>
T &kept(void *user)
{
    return *static_cast<T *>(user);
}

/** A struct with the library's defaults. */
template <class T, sslcv_status (*Init)(T *, size_t)>
struct defaults : T {
    defaults() { call(Init, static_cast<T *>(this), sizeof(T)); }
};

template <class T, sslcv_status (*Init)(T *, size_t, int32_t)>
struct defaults_of_kind : T {
    explicit defaults_of_kind(int32_t which) { call(Init, static_cast<T *>(this), sizeof(T), which); }
};

/** A struct that the library fills. */
template <class T>
T sized()
{
    T filled = T();
    filled.struct_size = sizeof filled;
    return filled;
}

template <class T, class... P, class... A>
T ask(sslcv_status (*function)(P...), A... arguments)
{
    T filled = sized<T>();
    call(function, arguments..., &filled);
    return filled;
}

/** A text that is asked for twice: function(arguments..., text, size, &needed). */
template <class... P, class... A>
std::string text_of(sslcv_status (*function)(P...), A... arguments)
{
    int64_t needed = 0;
    call(function, arguments..., nullptr, 0, &needed);
    std::string text(static_cast<size_t>(needed), '\0');
    call(function, arguments..., text.data(), needed, nullptr);
    text.resize(text.size() - 1);
    return text;
}

} // namespace detail

/* ---- views and lists ---- */

/** A pointer and a length. As an argument it also takes vectors, arrays and {1, 2, 3}. */
template <class T>
class span {
  public:
    constexpr span() noexcept = default;
    constexpr span(T *data, size_t size) noexcept : data_(data), size_(size) {}
    template <class C, class = std::enable_if_t<std::is_convertible_v<decltype(std::data(std::declval<C &>())), T *>>>
    constexpr span(C &&container) : data_(std::data(container)), size_(std::size(container))
    {
    }
    template <class U = T, class = std::enable_if_t<std::is_const_v<U>>>
    constexpr span(std::initializer_list<std::remove_const_t<U>> list) : size_(list.size())
    {
        data_ = list.begin(); /* lives until the end of the full expression: for arguments only */
    }
    constexpr T *data() const noexcept { return data_; }
    constexpr size_t size() const noexcept { return size_; }
    constexpr int64_t count() const noexcept { return static_cast<int64_t>(size_); }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](size_t index) const { return data_[index]; }

  private:
    T *data_ = nullptr;
    size_t size_ = 0;
};

/** What is counted upwards until there is no more; for range-based for. Next: (index) -> std::optional<T>. */
template <class T, class Next>
class counted {
  public:
    struct end_of_list {};
    class iterator {
      public:
        using iterator_category = std::input_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = const T *;
        using reference = const T &;
        explicit iterator(const Next &next) : next_(&next), value_(next(0)) {}
        const T &operator*() const { return *value_; }
        const T *operator->() const { return &*value_; }
        iterator &operator++()
        {
            value_ = (*next_)(++index_);
            return *this;
        }
        bool operator!=(end_of_list) const { return value_.has_value(); }

      private:
        const Next *next_;
        int64_t index_ = 0;
        std::optional<T> value_;
    };

    explicit counted(Next next) : next_(std::move(next)) {}
    iterator begin() const { return iterator(next_); }
    end_of_list end() const { return {}; }

  private:
    Next next_;
};

/* ---- tensors ---- */

template <class T> inline constexpr int32_t dtype_of = 0;
template <> inline constexpr int32_t dtype_of<float> = SSLCV_F32;
template <> inline constexpr int32_t dtype_of<double> = SSLCV_F64;
template <> inline constexpr int32_t dtype_of<uint8_t> = SSLCV_U8;
template <> inline constexpr int32_t dtype_of<uint16_t> = SSLCV_U16;
template <> inline constexpr int32_t dtype_of<int32_t> = SSLCV_I32;
template <> inline constexpr int32_t dtype_of<int64_t> = SSLCV_I64;

/** sslcv_tensor with conveniences. Owns nothing. */
struct tensor : sslcv_tensor {
    /** Asks for shape and type. */
    tensor() : sslcv_tensor() {}
    tensor(const sslcv_tensor &plain) : sslcv_tensor(plain) {}
    /** A dense array. What the library only reads may be const. */
    template <class T>
    tensor(T *memory, span<const int64_t> extents) : sslcv_tensor()
    {
        using element = std::remove_const_t<T>;
        static_assert(dtype_of<element> != 0, "not an element type of this library");
        detail::call(sslcv_tensor_init, this, dtype_of<element>, const_cast<element *>(memory),
                     static_cast<int32_t>(extents.size()), extents.data());
    }
    /** A picture as cameras and OpenCV give it, interleaved; order: SSLCV_PIXELS_*. */
    template <class T>
    static tensor pixels(const T *top, int64_t width, int64_t height, int64_t channels, int64_t row_bytes = 0,
                         int32_t order = SSLCV_PIXELS_AS_STORED)
    {
        tensor picture;
        detail::call(sslcv_tensor_init_pixels, &picture, dtype_of<T>, top, width, height, channels, row_bytes, order);
        return picture;
    }
    static tensor from_dlpack(const void *dlpack, bool versioned = false)
    {
        tensor lent;
        detail::call(sslcv_tensor_from_dlpack, dlpack, versioned, &lent);
        return lent;
    }
    /** For a DLPack consumer; release is called once, when it is done, on a thread of its choice. */
    void *to_dlpack(std::function<void()> release, bool versioned = false) const
    {
        auto owner = std::make_unique<std::function<void()>>(std::move(release));
        void *dlpack = nullptr;
        detail::call(
            sslcv_tensor_to_dlpack, this, owner.get(),
            +[](void *user) {
                std::unique_ptr<std::function<void()>> done(static_cast<std::function<void()> *>(user));
                detail::guarded(0, [&] { return *done ? ((*done)(), 0) : 0; });
            },
            versioned, &dlpack);
        owner.release();
        return dlpack;
    }
    span<const int64_t> extents() const { return {shape, static_cast<size_t>(ndim)}; }
    int64_t count() const
    {
        int64_t product = 1;
        for (const int64_t extent : extents()) product *= extent;
        return product;
    }
    /** Elements of a dense tensor. */
    template <class T>
    span<T> values() const
    {
        if (dtype != dtype_of<std::remove_const_t<T>>) throw std::invalid_argument("the tensor has another type");
        return {static_cast<T *>(data), static_cast<size_t>(count())};
    }
    static int64_t element_size(int32_t dtype) { return sslcv_dtype_size(dtype); }
};

/** Floats with their shape: what functions return that make an array. */
struct array {
    std::vector<int64_t> shape;
    std::vector<float> values;

    array() = default;
    explicit array(span<const int64_t> extents) : shape(extents.begin(), extents.end())
    {
        values.resize(static_cast<size_t>(tensor(static_cast<float *>(nullptr), extents).count()));
    }
    tensor view() { return {values.data(), shape}; }
    tensor view() const { return {values.data(), shape}; }
    int64_t rows() const { return shape.at(0); }
    int64_t columns() const { return shape.at(1); }
    span<const float> row(int64_t index) const
    {
        const size_t width = values.size() / static_cast<size_t>(rows());
        return {values.data() + static_cast<size_t>(index) * width, width};
    }
};

namespace detail {
/** The array that function(arguments..., tensor) fills, once its shape has been asked for. */
template <class... P, class... A>
array made(sslcv_status (*function)(P...), A... arguments)
{
    tensor asked;
    call(function, arguments..., &asked);
    array result(asked.extents());
    tensor filled = result.view();
    call(function, arguments..., &filled);
    return result;
}
} // namespace detail

/* ---- handles ---- */

template <class T, void (*Destroy)(T *)>
class handle {
  public:
    using c_type = T;
    /** Takes over a reference that a C call gave. */
    explicit handle(T *owned) noexcept : pointer_(owned) {}
    handle(handle &&other) noexcept : pointer_(other.release()) {}
    handle &operator=(handle &&other) noexcept
    {
        if (this != &other) {
            Destroy(pointer_);
            pointer_ = other.release();
        }
        return *this;
    }
    handle(const handle &) = delete;
    handle &operator=(const handle &) = delete;
    ~handle() { Destroy(pointer_); }
    T *get() const noexcept { return pointer_; }
    explicit operator bool() const noexcept { return pointer_ != nullptr; }
    /** Gives the reference away. */
    T *release() noexcept { return std::exchange(pointer_, nullptr); }

  private:
    T *pointer_;
};

/** A second owner of the same object. */
template <class H>
H share(const H &owner)
{
    detail::call(sslcv_retain, owner.get());
    return H(owner.get());
}

namespace detail {

/** A list over an object, which keeps it: for (... : backbone.get_state().entries()) is safe. Next: (handle, index). */
template <class T, class H, class Next>
auto list(const H &of, Next next)
{
    auto function = [kept = std::make_shared<H>(share(of)), next = std::move(next)](int64_t index) {
        return next(kept->get(), index);
    };
    return counted<T, decltype(function)>(std::move(function));
}

/** Numbers whose count the library takes from another argument; none: NULL. */
inline const int64_t *as_many(span<const int64_t> numbers, int64_t count)
{
    if (numbers.size() && numbers.count() != count) {
        throw std::invalid_argument(std::to_string(numbers.size()) + " numbers; must be " + std::to_string(count));
    }
    return numbers.size() ? numbers.data() : nullptr;
}

/** The handle that function(arguments..., &handle) makes. */
template <class T, class... P, class... A>
T *create(sslcv_status (*function)(P...), A... arguments)
{
    T *made = nullptr;
    call(function, arguments..., &made);
    return made;
}

/** A handle lent to a callback: not destroyed here. */
template <class H>
class lent {
  public:
    explicit lent(typename H::c_type *pointer) : handle_(pointer) {}
    ~lent() { handle_.release(); }
    lent(const lent &) = delete;
    lent &operator=(const lent &) = delete;
    H &operator*() { return handle_; }

  private:
    H handle_;
};

/** Hand table and what is behind its user pointer to take(); the library owns it when take() has returned. */
template <class Table, class T, class Take>
auto give(Table &table, std::unique_ptr<T> behind, Take take)
{
    table.user = behind.get();
    table.destroy = drop<T>;
    if constexpr (std::is_void_v<decltype(take())>) {
        take();
        behind.release();
    } else {
        auto result = take();
        behind.release();
        return result;
    }
}

} // namespace detail

inline std::string_view version() { return sslcv_version_string(); }
inline int32_t version_number() { return sslcv_version(); }
inline std::string_view build_info() { return sslcv_build_info(); }
inline std::string_view status_name(sslcv_status status) { return sslcv_status_string(status); }
/** The last failure's message on this thread, as error::what() has it. */
inline std::string last_error()
{
    std::string message(sslcv_last_error_copy(nullptr, 0), '\0');
    sslcv_last_error_copy(message.data(), message.size());
    message.resize(message.size() - 1);
    return message;
}

/* ---- context ---- */

using context_options = detail::defaults<sslcv_context_options, sslcv_context_options_init>;

class context : public handle<sslcv_context, sslcv_context_destroy> {
  public:
    using handle::handle;
    /** (SSLCV_LOG_*, line). Must not call the library. */
    using log_function = std::function<void(int32_t level, std::string_view line)>;

    explicit context(const sslcv_context_options &options = context_options())
        : handle(detail::create<sslcv_context>(sslcv_context_create, &options))
    {
    }
    context(sslcv_context_options options, log_function log) : handle(nullptr)
    {
        auto kept = std::make_unique<log_function>(std::move(log));
        options.log_user = kept.get();
        options.log_destroy = detail::drop<log_function>;
        options.log = [](void *user, int32_t level, const char *line) {
            detail::guarded(0, [&] { return detail::kept<log_function>(user)(level, line), 0; });
        };
        context made(options);
        kept.release();
        static_cast<handle &>(*this) = std::move(made);
    }
    sslcv_context_info get_info() const { return detail::ask<sslcv_context_info>(sslcv_context_get_info, get()); }
    /** From any thread, also from a signal handler (there: sslcv_context_cancel(context.get(), 1)). */
    void cancel(bool on = true) { detail::call(sslcv_context_cancel, get(), on); }
};

/* ---- state ---- */

using save_options = detail::defaults<sslcv_save_options, sslcv_save_options_init>;
using load_options = detail::defaults<sslcv_load_options, sslcv_load_options_init>;
using metadata = std::vector<std::pair<std::string, std::string>>;

struct load_report {
    int64_t matched = 0, missing = 0, unexpected = 0, adapted = 0;
    std::string layout, text;
};

namespace detail {

inline sslcv_stream stream_of(std::istream &in)
{
    sslcv_stream stream = sized<sslcv_stream>();
    stream.user = &in;
    stream.read = [](void *user, void *buffer, int64_t size) {
        return guarded(int64_t{-1}, [&] {
            std::istream &source = kept<std::istream>(user);
            source.read(static_cast<char *>(buffer), static_cast<std::streamsize>(size));
            return source.bad() ? int64_t{-1} : static_cast<int64_t>(source.gcount());
        });
    };
    return stream;
}

inline sslcv_stream stream_of(std::ostream &out)
{
    sslcv_stream stream = sized<sslcv_stream>();
    stream.user = &out;
    stream.write = [](void *user, const void *buffer, int64_t size) {
        return guarded(int64_t{-1}, [&] {
            std::ostream &sink = kept<std::ostream>(user);
            return sink.write(static_cast<const char *>(buffer), static_cast<std::streamsize>(size)) ? size : -1;
        });
    };
    return stream;
}

} // namespace detail

class state : public handle<sslcv_state, sslcv_state_destroy> {
  public:
    using handle::handle;
    /** Tensors of one's own. */
    explicit state(const context &owner) : handle(detail::create<sslcv_state>(sslcv_state_create, owner.get())) {}
    static state open(const context &owner, const std::string &path, const sslcv_load_options &options = load_options())
    {
        return state(detail::create<sslcv_state>(sslcv_state_open, owner.get(), path.c_str(), &options));
    }
    static state open(const context &owner, std::istream &in, sslcv_load_options options = load_options())
    {
        const sslcv_stream stream = detail::stream_of(in);
        options.stream = &stream;
        return state(detail::create<sslcv_state>(sslcv_state_open, owner.get(), nullptr, &options));
    }

    /** for (const sslcv_state_entry &entry : state.entries()) */
    auto entries() const
    {
        return detail::list<sslcv_state_entry>(*this, [](sslcv_state *s, int64_t index) {
            std::optional<sslcv_state_entry> entry(detail::sized<sslcv_state_entry>());
            return detail::found(sslcv_state_get_entry, s, index, &*entry) ? entry : std::nullopt;
        });
    }
    sslcv_state_entry entry(int64_t index) const
    {
        return detail::ask<sslcv_state_entry>(sslcv_state_get_entry, get(), index);
    }
    /** Nothing where no tensor has this name. */
    std::optional<int64_t> find(const std::string &name) const
    {
        int64_t index = 0;
        if (!detail::found(sslcv_state_find, get(), name.c_str(), &index)) return std::nullopt;
        return index;
    }
    int64_t add(const std::string &name, span<const int64_t> shape, int32_t role = SSLCV_ROLE_BUFFER,
                int32_t dtype = SSLCV_F32, bool frozen = false)
    {
        sslcv_state_entry entry = detail::sized<sslcv_state_entry>();
        int64_t index = 0;
        if (shape.size() > SSLCV_MAX_DIMS) throw std::invalid_argument("more axes than SSLCV_MAX_DIMS");
        for (const int64_t extent : shape) entry.shape[entry.ndim++] = extent;
        entry.name = name.c_str();
        entry.dtype = dtype;
        entry.role = role;
        entry.frozen = frozen;
        detail::call(sslcv_state_add, get(), &entry, &index);
        return index;
    }
    /** Borrowed: the memory itself, of states of one's own and of custom losses and heads. */
    tensor data(int64_t index, int32_t part = SSLCV_STATE_VALUE)
    {
        tensor memory;
        detail::call(sslcv_state_data, get(), index, part, &memory);
        return memory;
    }
    /** A copy as floats, in plain layout. */
    array get_values(int64_t index, int32_t part = SSLCV_STATE_VALUE) const
    {
        const sslcv_state_entry described = entry(index);
        array values(span<const int64_t>(described.shape, static_cast<size_t>(described.ndim)));
        tensor filled = values.view();
        detail::call(sslcv_state_get, get(), index, part, &filled);
        return values;
    }
    void get_values(int64_t index, int32_t part, tensor filled) const
    {
        detail::call(sslcv_state_get, get(), index, part, &filled);
    }
    void set_values(int64_t index, const tensor &values, int32_t part = SSLCV_STATE_VALUE)
    {
        detail::call(sslcv_state_set, get(), index, part, &values);
    }
    std::vector<float> get_flat(int32_t roles = SSLCV_ROLE_PARAMETERS) const
    {
        int64_t count = 0;
        detail::call(sslcv_state_get_flat, get(), roles, nullptr, 0, &count);
        std::vector<float> flat(static_cast<size_t>(count));
        detail::call(sslcv_state_get_flat, get(), roles, flat.data(), count, nullptr);
        return flat;
    }
    void set_flat(span<const float> flat, int32_t roles = SSLCV_ROLE_PARAMETERS)
    {
        detail::call(sslcv_state_set_flat, get(), roles, flat.data(), flat.count());
    }
    void lerp(const state &source, double momentum, int32_t roles = SSLCV_ROLE_PARAMETERS)
    {
        detail::call(sslcv_state_lerp, get(), source.get(), momentum, roles);
    }
    void freeze(const std::string &prefix, bool frozen = true)
    {
        detail::call(sslcv_state_freeze, get(), prefix.c_str(), frozen);
    }

    void save(const std::string &path, sslcv_save_options options = save_options(), const metadata &notes = {}) const
    {
        save_to(path.c_str(), options, notes);
    }
    void save(std::ostream &out, sslcv_save_options options = save_options(), const metadata &notes = {}) const
    {
        const sslcv_stream stream = detail::stream_of(out);
        options.stream = &stream;
        save_to(nullptr, options, notes);
    }
    /** report, where given, is filled also when the load fails for names or shapes. */
    load_report load(const std::string &path, const sslcv_load_options &options = load_options(),
                     load_report *report = nullptr)
    {
        return load_from(path.c_str(), options, report);
    }
    load_report load(std::istream &in, sslcv_load_options options = load_options(), load_report *report = nullptr)
    {
        const sslcv_stream stream = detail::stream_of(in);
        options.stream = &stream;
        return load_from(nullptr, options, report);
    }

  private:
    void save_to(const char *path, sslcv_save_options &options, const metadata &notes) const
    {
        std::vector<const char *> texts;
        for (const auto &[key, value] : notes) {
            texts.push_back(key.c_str());
            texts.push_back(value.c_str());
        }
        if (!notes.empty()) {
            options.metadata = texts.data();
            options.num_metadata = static_cast<int64_t>(notes.size());
        }
        detail::call(sslcv_state_save, get(), path, &options);
    }
    load_report load_from(const char *path, const sslcv_load_options &options, load_report *report)
    {
        sslcv_load_report told = detail::sized<sslcv_load_report>();
        std::string text(65536, '\0');
        told.text = text.data();
        told.text_size = static_cast<int64_t>(text.size());
        detail::frame here;
        const sslcv_status status = sslcv_state_load(get(), path, &options, &told);
        const load_report result = {told.matched, told.missing, told.unexpected,
                                    told.adapted, told.layout,  text.c_str()};
        if (report) *report = result;
        if (status != SSLCV_OK) here.fail(status);
        return result;
    }
};

/* ---- views ---- */

using transform = detail::defaults_of_kind<sslcv_transform, sslcv_transform_init>;

class augmenter : public handle<sslcv_augmenter, sslcv_augmenter_destroy> {
  public:
    using handle::handle;
    /** src, dst: (channels, height, width), valid during the call. random: 64 bits of this draw's own. */
    using transform_function = std::function<void(const tensor &src, tensor &dst, uint64_t random)>;

    explicit augmenter(const context &owner)
        : handle(detail::create<sslcv_augmenter>(sslcv_augmenter_create, owner.get()))
    {
    }
    /** With the views of a preset. */
    augmenter(const context &owner, const std::string &preset, int64_t size = 0) : augmenter(owner)
    {
        add_preset(preset, size);
    }
    int64_t add_view(int64_t source = SSLCV_SOURCE_IMAGE)
    {
        int64_t view = 0;
        detail::call(sslcv_augmenter_add_view, get(), source, &view);
        return view;
    }
    void add(int64_t view, const sslcv_transform &step) { detail::call(sslcv_augmenter_add_transform, get(), view, &step); }
    /** A transform of the host; flags: 0 or SSLCV_CALLBACK_ANY_THREAD. */
    void add(int64_t view, transform_function function, transform step = transform(SSLCV_TRANSFORM_CUSTOM),
             int32_t flags = 0)
    {
        sslcv_transform_callbacks table = detail::sized<sslcv_transform_callbacks>();
        table.flags = flags;
        table.apply = [](void *user, const sslcv_tensor *src, sslcv_tensor *dst, uint64_t random) {
            return detail::guarded(1, [&] {
                tensor filled = *dst;
                detail::kept<transform_function>(user)(*src, filled, random);
                return 0;
            });
        };
        step.callbacks = &table;
        detail::give(table, std::make_unique<transform_function>(std::move(function)), [&] { add(view, step); });
    }
    /** Index of the first view added, and how many. */
    std::pair<int64_t, int64_t> add_preset(const std::string &preset, int64_t size = 0)
    {
        std::pair<int64_t, int64_t> views;
        detail::call(sslcv_augmenter_add_preset, get(), preset.c_str(), size, &views.first, &views.second);
        return views;
    }
    /** for (const sslcv_view_info &view : augmenter.views()) */
    auto views() const
    {
        return detail::list<sslcv_view_info>(*this, [](sslcv_augmenter *a, int64_t index) {
            std::optional<sslcv_view_info> view(detail::sized<sslcv_view_info>());
            return detail::found(sslcv_augmenter_get_view, a, index, &*view) ? view : std::nullopt;
        });
    }
    array apply(const tensor &image, int64_t view, uint64_t seed = 0, int64_t epoch = 0, int64_t sample = 0) const
    {
        return detail::made(sslcv_augmenter_apply, get(), &image, seed, epoch, sample, view);
    }
};

/* ---- data sets ---- */

using dataset_options = detail::defaults_of_kind<sslcv_dataset_options, sslcv_dataset_options_init>;
using split_options = detail::defaults<sslcv_split_options, sslcv_split_options_init>;
using loader_options = detail::defaults<sslcv_loader_options, sslcv_loader_options_init>;

/** Images of the host. load's pixels stay valid until unload, or without it until the next load. */
struct image_source {
    std::function<tensor(int64_t index)> load;
    std::function<void(int64_t index, const tensor &image)> unload = {};
    std::function<int64_t(int64_t index)> label = {};
    int32_t flags = 0; /* or SSLCV_CALLBACK_ANY_THREAD, which wants unload */
};

class dataset : public handle<sslcv_dataset, sslcv_dataset_destroy> {
  public:
    using handle::handle;
    dataset(const context &owner, const sslcv_dataset_options &options)
        : handle(detail::create<sslcv_dataset>(sslcv_dataset_create, owner.get(), &options))
    {
    }
    /** Empty, to be filled by add(). */
    explicit dataset(const context &owner) : dataset(owner, dataset_options(SSLCV_DATASET_LIST)) {}
    static dataset folder(const context &owner, const std::string &path, bool label_folders = false)
    {
        dataset_options options(SSLCV_DATASET_FOLDER);
        options.path = path.c_str();
        options.label_folders = label_folders;
        return dataset(owner, options);
    }
    static dataset callback(const context &owner, int64_t count, image_source source,
                            dataset_options options = dataset_options(SSLCV_DATASET_CALLBACK))
    {
        sslcv_dataset_callbacks table = detail::sized<sslcv_dataset_callbacks>();
        table.load = [](void *user, int64_t index, sslcv_tensor *image) {
            return detail::guarded(1, [&] { return *image = detail::kept<image_source>(user).load(index), 0; });
        };
        if (source.unload) {
            table.unload = [](void *user, int64_t index, const sslcv_tensor *image) {
                detail::guarded(0, [&] { return detail::kept<image_source>(user).unload(index, *image), 0; });
            };
        }
        if (source.label) {
            table.get_label = [](void *user, int64_t index, int64_t *label) {
                return detail::guarded(1, [&] { return *label = detail::kept<image_source>(user).label(index), 0; });
            };
        }
        table.flags = source.flags;
        options.count = count;
        options.callbacks = &table;
        return detail::give(table, std::make_unique<image_source>(std::move(source)),
                            [&] { return dataset(owner, options); });
    }

    /** (C, H, W) or (N, C, H, W), copied; labels: one for each, or none. Gives the index of the first. */
    int64_t add(const tensor &images, span<const int64_t> labels = {})
    {
        int64_t index = 0;

        detail::call(sslcv_dataset_add_images, get(), &images,
                     detail::as_many(labels, images.ndim == 4 ? images.shape[0] : 1), &index);
        return index;
    }
    /** An encoded image by path, read when needed. Gives its index. */
    int64_t add_file(const std::string &path, int64_t label = -1)
    {
        int64_t index = 0;

        detail::call(sslcv_dataset_add_file, get(), path.c_str(), nullptr, 0, label, &index);
        return index;
    }
    /** An encoded image in memory, copied. Gives its index. */
    int64_t add_file(const void *bytes, int64_t size, int64_t label = -1)
    {
        int64_t index = 0;

        detail::call(sslcv_dataset_add_file, get(), nullptr, bytes, size, label, &index);
        return index;
    }
    sslcv_dataset_info get_info() const { return detail::ask<sslcv_dataset_info>(sslcv_dataset_get_info, get()); }
    int64_t size() const { return get_info().count; }
    sslcv_sample get_sample(int64_t index) const
    {
        return detail::ask<sslcv_sample>(sslcv_dataset_get_sample, get(), index);
    }
    auto samples() const
    {
        return detail::list<sslcv_sample>(*this, [](sslcv_dataset *d, int64_t index) {
            std::optional<sslcv_sample> sample(detail::sized<sslcv_sample>());
            return detail::found(sslcv_dataset_get_sample, d, index, &*sample) ? sample : std::nullopt;
        });
    }
    /** Class names; valid as long as the data set. */
    auto classes() const
    {
        return detail::list<std::string_view>(*this, [](sslcv_dataset *d, int64_t label) {
            const char *name = nullptr;
            return detail::found(sslcv_dataset_get_class, d, label, &name) ? std::optional<std::string_view>(name)
                                                                           : std::nullopt;
        });
    }
    /** Shape and type of a sample's pixels. */
    tensor describe(int64_t index)
    {
        tensor asked;
        detail::call(sslcv_dataset_read, get(), index, &asked);
        return asked;
    }
    void read(int64_t index, tensor image) { detail::call(sslcv_dataset_read, get(), index, &image); }
    std::vector<int64_t> split(const sslcv_split_options &options) const
    {
        int64_t count = 0;
        detail::call(sslcv_dataset_split, get(), &options, nullptr, 0, &count);
        std::vector<int64_t> indices(static_cast<size_t>(count));
        detail::call(sslcv_dataset_split, get(), &options, indices.data(), count, &count);
        return indices;
    }
    void save_list(span<const int64_t> indices, const std::string &path) const
    {
        detail::call(sslcv_dataset_save_list, get(), indices.data(), indices.count(), path.c_str());
    }
    dataset subset(span<const int64_t> indices) const
    {
        return dataset(detail::create<sslcv_dataset>(sslcv_dataset_subset, get(), indices.data(), indices.count()));
    }
};

class loader : public handle<sslcv_loader, sslcv_loader_destroy> {
  public:
    using handle::handle;
    loader(const context &owner, const dataset &images, const augmenter &views,
           sslcv_loader_options options = loader_options())
        : handle((options.dataset = images.get(), options.augmenter = views.get(),
                  detail::create<sslcv_loader>(sslcv_loader_create, owner.get(), &options)))
    {
    }
    sslcv_batch next() { return detail::ask<sslcv_batch>(sslcv_loader_next, get()); }
    /** for (const sslcv_batch &batch : loader.epoch()): to the end of the epoch that the next batch is of. */
    auto epoch()
    {
        return detail::list<sslcv_batch>(*this, [last = std::make_shared<bool>()](sslcv_loader *l, int64_t) {
            if (*last) return std::optional<sslcv_batch>();
            std::optional<sslcv_batch> batch(detail::ask<sslcv_batch>(sslcv_loader_next, l));
            *last = batch->index + 1 == batch->count;
            return batch;
        });
    }
    /** Borrowed until the loader's next call. */
    tensor get_views(span<const int64_t> views)
    {
        tensor images;
        detail::call(sslcv_loader_get_views, get(), views.data(), views.count(), &images);
        return images;
    }
    void seek(int64_t epoch, int64_t index = 0) { detail::call(sslcv_loader_seek, get(), epoch, index); }
};

/* ---- networks ---- */

using pass = detail::defaults<sslcv_pass, sslcv_pass_init>;
using backbone_options = detail::defaults_of_kind<sslcv_backbone_options, sslcv_backbone_options_init>;
using mlp_options = detail::defaults<sslcv_mlp_options, sslcv_mlp_options_init>;
using patch_mlp_options = detail::defaults<sslcv_patch_mlp_options, sslcv_patch_mlp_options_init>;
using prototypes_options = detail::defaults<sslcv_prototypes_options, sslcv_prototypes_options_init>;
using pixelcnn_options = detail::defaults<sslcv_pixelcnn_options, sslcv_pixelcnn_options_init>;
using cpc_v2_options = detail::defaults<sslcv_cpc_v2_options, sslcv_cpc_v2_options_init>;

class tape : public handle<sslcv_tape, sslcv_tape_destroy> {
  public:
    using handle::handle;
    explicit tape(const context &owner) : handle(detail::create<sslcv_tape>(sslcv_tape_create, owner.get())) {}
    /** Borrowed until the tape's next pass; so is diff_input(). */
    tensor output() const
    {
        tensor result;
        detail::call(sslcv_tape_output, get(), &result);
        return result;
    }
    void backward(const tensor &diff_output) { detail::call(sslcv_tape_backward, get(), &diff_output); }
    tensor diff_input() const
    {
        tensor result;
        detail::call(sslcv_tape_diff_input, get(), &result);
        return result;
    }
};

struct stage {
    std::string_view name;
    int64_t dim;
};

class backbone : public handle<sslcv_backbone, sslcv_backbone_destroy> {
  public:
    using handle::handle;
    backbone(const context &owner, const sslcv_backbone_options &options)
        : handle(detail::create<sslcv_backbone>(sslcv_backbone_create, owner.get(), &options))
    {
    }
    static backbone load(const context &owner, const std::string &path,
                         const sslcv_load_options &options = load_options())
    {
        return backbone(detail::create<sslcv_backbone>(sslcv_backbone_load, owner.get(), path.c_str(), &options));
    }
    static backbone load(const context &owner, std::istream &in, sslcv_load_options options = load_options())
    {
        const sslcv_stream stream = detail::stream_of(in);
        options.stream = &stream;
        return backbone(detail::create<sslcv_backbone>(sslcv_backbone_load, owner.get(), nullptr, &options));
    }
    backbone clone() const { return backbone(detail::create<sslcv_backbone>(sslcv_backbone_clone, get())); }
    state get_state() const { return state(detail::create<sslcv_state>(sslcv_backbone_get_state, get())); }
    sslcv_backbone_info get_info() const { return detail::ask<sslcv_backbone_info>(sslcv_backbone_get_info, get()); }
    auto stages() const
    {
        return detail::list<stage>(*this, [](sslcv_backbone *b, int64_t index) {
            const char *name = nullptr;
            int64_t dim = 0;
            return detail::found(sslcv_backbone_get_stage, b, index, &name, &dim) ? std::optional<stage>({name, dim})
                                                                                  : std::nullopt;
        });
    }
    void freeze(int32_t num_stages) { detail::call(sslcv_backbone_freeze, get(), num_stages); }
    void forward(const tensor &images, const tape &into, const sslcv_pass &how = pass())
    {
        detail::call(sslcv_backbone_forward, get(), &images, &how, into.get());
    }
};

/** A head of the host: see sslcv_head_callbacks. Handles, tensors and the pass are lent for the call. */
struct head_functions {
    std::function<void(state &, const tensor &in, tensor &out, const sslcv_pass &)> forward;
    std::function<void(state &, const tensor &in, const tensor &out, const tensor &diff_out, tensor &diff_in,
                       const sslcv_pass &)>
        backward;
};

class head : public handle<sslcv_head, sslcv_head_destroy> {
  public:
    using handle::handle;
    head(const context &owner, const sslcv_mlp_options &options)
        : handle(detail::create<sslcv_head>(sslcv_head_create_mlp, owner.get(), &options)) {}
    head(const context &owner, const sslcv_patch_mlp_options &options)
        : handle(detail::create<sslcv_head>(sslcv_head_create_patch_mlp, owner.get(), &options)) {}
    head(const context &owner, const sslcv_prototypes_options &options)
        : handle(detail::create<sslcv_head>(sslcv_head_create_prototypes, owner.get(), &options)) {}
    head(const context &owner, const sslcv_pixelcnn_options &options)
        : handle(detail::create<sslcv_head>(sslcv_head_create_pixelcnn, owner.get(), &options)) {}
    head(const context &owner, const sslcv_cpc_v2_options &options)
        : handle(detail::create<sslcv_head>(sslcv_head_create_cpc_v2, owner.get(), &options)) {}
    static head custom(const context &owner, int64_t in_dim, int64_t out_dim, head_functions functions,
                       int64_t out_patches = 0)
    {
        detail::defaults<sslcv_head_callbacks, sslcv_head_callbacks_init> table;
        table.in_dim = in_dim;
        table.out_dim = out_dim;
        table.out_patches = out_patches;
        table.forward = [](void *user, sslcv_state *its, const sslcv_tensor *in, sslcv_tensor *out,
                           const sslcv_pass *how) {
            return detail::guarded(1, [&] {
                detail::lent<state> lent(its);
                tensor filled = *out;
                detail::kept<head_functions>(user).forward(*lent, *in, filled, *how);
                return 0;
            });
        };
        table.backward = [](void *user, sslcv_state *its, const sslcv_tensor *in, const sslcv_tensor *out,
                            const sslcv_tensor *diff_out, sslcv_tensor *diff_in, const sslcv_pass *how) {
            return detail::guarded(1, [&] {
                detail::lent<state> lent(its);
                tensor filled = *diff_in;
                detail::kept<head_functions>(user).backward(*lent, *in, *out, *diff_out, filled, *how);
                return 0;
            });
        };
        return detail::give(table, std::make_unique<head_functions>(std::move(functions)), [&] {
            return head(detail::create<sslcv_head>(sslcv_head_create_custom, owner.get(), &table));
        });
    }
    head clone() const { return head(detail::create<sslcv_head>(sslcv_head_clone, get())); }
    state get_state() const { return state(detail::create<sslcv_state>(sslcv_head_get_state, get())); }
    sslcv_head_info get_info() const { return detail::ask<sslcv_head_info>(sslcv_head_get_info, get()); }
    void reset(uint64_t seed) { detail::call(sslcv_head_reset, get(), seed); }
    void forward(const tensor &features, const tape &into, const sslcv_pass &how = pass())
    {
        detail::call(sslcv_head_forward, get(), &features, &how, into.get());
    }
};

/* ---- losses ---- */

using info_nce_options = detail::defaults<sslcv_info_nce_options, sslcv_info_nce_options_init>;
using nce_bank_options = detail::defaults<sslcv_nce_bank_options, sslcv_nce_bank_options_init>;
using swapped_options = detail::defaults<sslcv_swapped_options, sslcv_swapped_options_init>;
using cluster_options = detail::defaults<sslcv_cluster_options, sslcv_cluster_options_init>;
using cpc_options = detail::defaults<sslcv_cpc_options, sslcv_cpc_options_init>;
using cosine_options = detail::defaults<sslcv_cosine_options, sslcv_cosine_options_init>;
using barlow_twins_options = detail::defaults<sslcv_barlow_twins_options, sslcv_barlow_twins_options_init>;
using vicreg_options = detail::defaults<sslcv_vicreg_options, sslcv_vicreg_options_init>;
using dino_options = detail::defaults<sslcv_dino_options, sslcv_dino_options_init>;
using cross_entropy_options = detail::defaults<sslcv_cross_entropy_options, sslcv_cross_entropy_options_init>;
using binary_cross_entropy_options =
    detail::defaults<sslcv_binary_cross_entropy_options, sslcv_binary_cross_entropy_options_init>;
using loss_call = detail::defaults<sslcv_loss_call, sslcv_loss_call_init>;

struct metric {
    std::string name;
    double value;
};

namespace detail {
template <class H, class Get>
auto metrics_of(const H &of, Get get)
{
    return list<metric>(of, [get](const typename H::c_type *object, int64_t index) {
        const char *name = nullptr;
        double value = 0;
        return found(get, object, index, &name, &value) ? std::optional<metric>({name, value}) : std::nullopt;
    });
}
} // namespace detail

/** A loss of the host: see sslcv_loss_callbacks. compute fills call.value and the gradients that are wanted. */
struct loss_functions {
    std::function<void(state &, sslcv_loss_call &call)> compute;
    std::function<void(state &, int64_t epoch)> begin_epoch = {};
    int64_t num_inputs = 1;
    uint64_t gradient_inputs = 1; /* bit i: input i receives a gradient */
    bool needs_ids = false, needs_labels = false;
};

class loss : public handle<sslcv_loss, sslcv_loss_destroy> {
  public:
    using handle::handle;
    explicit loss(const context &owner, const sslcv_info_nce_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_info_nce, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_nce_bank_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_nce_bank, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_swapped_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_swapped, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_cluster_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_cluster, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_cpc_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_cpc, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_cosine_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_cosine, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_barlow_twins_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_barlow_twins, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_vicreg_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_vicreg, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_dino_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_dino, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_cross_entropy_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_cross_entropy, owner.get(), &options)) {}
    loss(const context &owner, const sslcv_binary_cross_entropy_options &options)
        : handle(detail::create<sslcv_loss>(sslcv_loss_create_binary_cross_entropy, owner.get(), &options)) {}
    static loss custom(const context &owner, loss_functions functions)
    {
        detail::defaults<sslcv_loss_callbacks, sslcv_loss_callbacks_init> table;
        table.num_inputs = functions.num_inputs;
        table.gradient_inputs = functions.gradient_inputs;
        table.needs_ids = functions.needs_ids;
        table.needs_labels = functions.needs_labels;
        table.compute = [](void *user, sslcv_state *its, sslcv_loss_call *call) {
            return detail::guarded(1, [&] {
                detail::lent<state> lent(its);
                detail::kept<loss_functions>(user).compute(*lent, *call);
                return 0;
            });
        };
        if (functions.begin_epoch) {
            table.begin_epoch = [](void *user, sslcv_state *its, int64_t epoch) {
                return detail::guarded(1, [&] {
                    detail::lent<state> lent(its);
                    detail::kept<loss_functions>(user).begin_epoch(*lent, epoch);
                    return 0;
                });
            };
        }
        return detail::give(table, std::make_unique<loss_functions>(std::move(functions)), [&] {
            return loss(detail::create<sslcv_loss>(sslcv_loss_create_custom, owner.get(), &table));
        });
    }
    sslcv_loss_info get_info() const { return detail::ask<sslcv_loss_info>(sslcv_loss_get_info, get()); }
    state get_state() const { return state(detail::create<sslcv_state>(sslcv_loss_get_state, get())); }
    void begin_epoch(int64_t epoch) { detail::call(sslcv_loss_begin_epoch, get(), epoch); }
    void set(const std::string &field, double value) { detail::call(sslcv_loss_set, get(), field.c_str(), value); }
    auto metrics() const { return detail::metrics_of(*this, sslcv_loss_get_metric); }
    double compute(sslcv_loss_call &call)
    {
        detail::call(sslcv_loss_compute, get(), &call);
        return call.value;
    }
    /** Value of one input, and its gradient into diff unless that is empty. */
    double compute(const tensor &input, tensor diff = {})
    {
        loss_call call;
        call.inputs = &input;
        call.num_inputs = 1;
        if (diff.data) call.diff_inputs = &diff;
        return compute(call);
    }
};

/* ---- optimizer and schedule ---- */

using optimizer_options = detail::defaults_of_kind<sslcv_optimizer_options, sslcv_optimizer_options_init>;
using optimizer_group = detail::defaults<sslcv_optimizer_group, sslcv_optimizer_group_init>;

struct schedule : sslcv_schedule {
    explicit schedule(double number, int32_t which = SSLCV_SCHEDULE_CONSTANT)
    {
        detail::call(sslcv_schedule_init, static_cast<sslcv_schedule *>(this), sizeof(sslcv_schedule), which, number);
    }
    double at(int64_t step, int64_t steps_per_epoch, int64_t epochs) const
    {
        double result = 0;
        detail::call(sslcv_schedule_value, static_cast<const sslcv_schedule *>(this), step, steps_per_epoch, epochs,
                     &result);
        return result;
    }
};

class optimizer : public handle<sslcv_optimizer, sslcv_optimizer_destroy> {
  public:
    using handle::handle;
    optimizer(const context &owner, const sslcv_optimizer_options &options)
        : handle(detail::create<sslcv_optimizer>(sslcv_optimizer_create, owner.get(), &options))
    {
    }
    void add(const state &tensors, int32_t roles = SSLCV_ROLE_PARAMETERS,
             const sslcv_optimizer_group &group = optimizer_group())
    {
        detail::call(sslcv_optimizer_add, get(), tensors.get(), roles, &group);
    }
    void step(double learning_rate, double weight_decay = -1)
    {
        detail::call(sslcv_optimizer_step, get(), learning_rate, weight_decay);
    }
    state get_state() const { return state(detail::create<sslcv_state>(sslcv_optimizer_get_state, get())); }
};

/* ---- trainer ---- */

using trainer_options = detail::defaults<sslcv_trainer_options, sslcv_trainer_options_init>;

/** A branch with the arrays that it points to. The networks must live until it has been added. */
class branch : public detail::defaults<sslcv_branch, sslcv_branch_init> {
  public:
    branch(span<const int64_t> view_indices, const sslcv::backbone &network, std::vector<const head *> through = {})
        : indices_(view_indices.begin(), view_indices.end())
    {
        views = indices_.data();
        num_views = static_cast<int64_t>(indices_.size());
        backbone = network.get();
        use(through);
    }
    /** Goes on from an earlier branch. */
    branch(int64_t earlier, std::vector<const head *> through)
    {
        source = earlier;
        use(through);
    }
    branch(branch &&) = default;
    branch &operator=(branch &&) = default;

  private:
    void use(const std::vector<const head *> &through)
    {
        for (const head *each : through) through_.push_back(each->get());
        heads = through_.empty() ? nullptr : through_.data();
        num_heads = static_cast<int64_t>(through_.size());
    }
    std::vector<int64_t> indices_;
    std::vector<sslcv_head *> through_;
};

class method_options : public detail::defaults<sslcv_method_options, sslcv_method_options_init> {
  public:
    method_options() = default;
    method_options(method_options &&) = default;
    method_options &operator=(method_options &&) = default;
    /** Networks to be trained instead of new ones. */
    void use(std::initializer_list<const backbone *> networks)
    {
        networks_.clear();
        for (const backbone *each : networks) networks_.push_back(each->get());
        backbones = networks_.data();
        num_backbones = static_cast<int64_t>(networks_.size());
    }

  private:
    std::vector<sslcv_backbone *> networks_;
};

class trainer : public handle<sslcv_trainer, sslcv_trainer_destroy> {
  public:
    using handle::handle;
    trainer(const context &owner, const sslcv_trainer_options &options)
        : handle(detail::create<sslcv_trainer>(sslcv_trainer_create, owner.get(), &options))
    {
    }
    /** The trainer of a published method. */
    trainer(const context &owner, const std::string &method, const sslcv_method_options &options)
        : handle(detail::create<sslcv_trainer>(sslcv_method_create, owner.get(), method.c_str(), &options))
    {
    }

    int64_t add_branch(const sslcv_branch &branch)
    {
        int64_t index = 0;
        detail::call(sslcv_trainer_add_branch, get(), &branch, &index);
        return index;
    }
    int64_t add_loss(const loss &objective, span<const int64_t> branches, double weight = 1)
    {
        int64_t index = 0;
        detail::call(sslcv_trainer_add_loss, get(), objective.get(), branches.data(), branches.count(), weight, &index);
        return index;
    }
    void set_loss(int64_t index, const loss &objective)
    {
        detail::call(sslcv_trainer_set_loss, get(), index, objective.get());
    }
    /** hook(progress) or hook(trainer, progress); false from one that returns bool stops the call with
        SSLCV_ERR_CANCELLED. */
    template <class F>
    void add_hook(F hook, int32_t events = SSLCV_EVENT_STEP, int32_t every = 1)
    {
        using function = std::function<bool(trainer &, const sslcv_progress &)>;
        detail::defaults<sslcv_hook, sslcv_hook_init> table;
        table.events = events;
        table.every = every;
        table.call = [](void *user, sslcv_trainer *its, const sslcv_progress *progress) {
            return detail::guarded(1, [&] {
                detail::lent<trainer> lent(its);
                return detail::kept<function>(user)(*lent, *progress) ? 0 : 1;
            });
        };
        auto called = [hook = std::move(hook)](trainer &its, const sslcv_progress &now) mutable {
            using progress = const sslcv_progress &;
            if constexpr (std::is_invocable_r_v<bool, F &, trainer &, progress>) return bool(hook(its, now));
            else if constexpr (std::is_invocable_r_v<bool, F &, progress>) return bool(hook(now));
            else if constexpr (std::is_invocable_v<F &, trainer &, progress>) return hook(its, now), true;
            else return hook(now), true;
        };
        auto kept = std::make_unique<function>(std::move(called));
        detail::give(table, std::move(kept), [&] { detail::call(sslcv_trainer_add_hook, get(), &table); });
    }

    sslcv_progress step() { return detail::ask<sslcv_progress>(sslcv_trainer_step, get()); }
    /** patches, ids, labels: empty where not needed. */
    sslcv_progress step_views(span<const tensor> views, span<const int64_t> patches = {}, span<const int64_t> ids = {},
                              span<const int64_t> labels = {}, const tensor *targets = nullptr)
    {
        const std::vector<sslcv_tensor> plain(views.begin(), views.end());
        const int64_t *per_sample = detail::as_many(patches, views.count());
        int64_t samples = 0;
        for (size_t i = views.size(); i-- > 0;) {
            const int64_t p = per_sample && per_sample[i] > 0 ? per_sample[i] : 1;
            if (views[i].data) samples = views[i].shape[0] / p;
        }
        detail::defaults<sslcv_view_batch, sslcv_view_batch_init> batch;
        batch.views = plain.data();
        batch.num_views = views.count();
        batch.patches = per_sample;
        batch.ids = detail::as_many(ids, samples);
        batch.labels = detail::as_many(labels, samples);
        batch.targets = targets;
        return detail::ask<sslcv_progress>(sslcv_trainer_step_views, get(), &batch);
    }
    void run(int64_t max_steps = 0) { detail::call(sslcv_trainer_run, get(), max_steps); }
    void set_labels(span<const int64_t> labels)
    {
        detail::call(sslcv_trainer_set_labels, get(), labels.data(), labels.count());
    }
    void keep_best(const std::string &metric, bool smallest = false)
    {
        detail::call(sslcv_trainer_keep_best, get(), metric.c_str(), smallest);
    }
    /** Metric and epoch of the weights that the networks have got back. */
    std::pair<double, int64_t> take_best()
    {
        std::pair<double, int64_t> best;
        detail::call(sslcv_trainer_take_best, get(), &best.first, &best.second);
        return best;
    }

    sslcv_memory get_memory() { return detail::ask<sslcv_memory>(sslcv_trainer_get_memory, get()); }
    std::string describe() { return detail::text_of(sslcv_trainer_describe, get()); }
    auto metrics() const { return detail::metrics_of(*this, sslcv_trainer_get_metric); }
    void set_metric(const std::string &name, double value)
    {
        detail::call(sslcv_trainer_set_metric, get(), name.c_str(), value);
    }
    state get_state() const { return state(detail::create<sslcv_state>(sslcv_trainer_get_state, get())); }
    sslcv::backbone get_backbone(int64_t branch = 0, bool momentum = false) const
    {
        return sslcv::backbone(detail::create<sslcv_backbone>(sslcv_trainer_get_backbone, get(), branch, momentum));
    }
    head get_head(int64_t branch = 0, int64_t index = 0, bool momentum = false) const
    {
        return head(detail::create<sslcv_head>(sslcv_trainer_get_head, get(), branch, index, momentum));
    }
    loss get_loss(int64_t index = 0) const
    {
        return loss(detail::create<sslcv_loss>(sslcv_trainer_get_loss, get(), index));
    }
};

/** Names of the published methods. */
inline auto methods()
{
    auto next = [](int64_t index) {
        const char *name = sslcv_method_name(index);
        return name ? std::optional<std::string_view>(name) : std::nullopt;
    };
    return counted<std::string_view, decltype(next)>(next);
}

/** A line for each setting of a method: "name=default  meaning; source". */
inline std::string method_settings(const std::string &method, const std::string &preset = "cifar")
{
    return detail::text_of(sslcv_method_settings, method.c_str(), preset.c_str());
}

/* ---- features, probes, figures ---- */

using probe_options = detail::defaults_of_kind<sslcv_probe_options, sslcv_probe_options_init>;
using figure_options = detail::defaults_of_kind<sslcv_figure_options, sslcv_figure_options_init>;
using kmeans_options = detail::defaults<sslcv_kmeans_options, sslcv_kmeans_options_init>;

/** What to embed: a data set, seen through views, by branches. All of it must live as long as this. */
class embedding : public detail::defaults<sslcv_embed_options, sslcv_embed_options_init> {
  public:
    embedding(const sslcv::dataset &images, const sslcv::augmenter &views, std::vector<const sslcv_branch *> by)
        : by_(std::move(by))
    {
        dataset = images.get();
        augmenter = views.get();
        branches = by_.data();
        num_branches = static_cast<int64_t>(by_.size());
    }
    embedding(embedding &&) = default;
    embedding &operator=(embedding &&) = default;
    /** (n, d). */
    array features() const
    {
        return detail::made(embed_features, static_cast<const sslcv_embed_options *>(this));
    }
    /** Into memory of the caller: (n, d) dense f32, and n labels or none. */
    void into(tensor features, span<int64_t> labels = {}) const
    {
        detail::call(sslcv_embed, this, &features, const_cast<int64_t *>(detail::as_many(labels, features.shape[0])));
    }
    void to_file(const std::string &features, const char *labels = nullptr) const
    {
        detail::call(sslcv_embed_to_file, this, features.c_str(), labels);
    }

  private:
    static sslcv_status embed_features(const sslcv_embed_options *what, sslcv_tensor *features)
    {
        return sslcv_embed(what, features, nullptr);
    }
    std::vector<const sslcv_branch *> by_;
};

class probe : public handle<sslcv_probe, sslcv_probe_destroy> {
  public:
    using handle::handle;
    probe(const context &owner, const sslcv_probe_options &options)
        : handle(detail::create<sslcv_probe>(sslcv_probe_create, owner.get(), &options))
    {
    }
    /** A published linear probe. */
    static probe preset(const context &owner, const std::string &name)
    {
        sslcv_probe_options options;
        sslcv_schedule rate = detail::sized<sslcv_schedule>();
        detail::call(sslcv_probe_options_preset, &options, sizeof options, &rate, name.c_str());
        return probe(owner, options);
    }
    void fit(const tensor &features, span<const int64_t> labels)
    {
        detail::call(sslcv_probe_fit, get(), &features, detail::as_many(labels, features.shape[0]));
    }
    void fit_rows(const tensor &features, span<const int64_t> labels, const tensor *targets = nullptr,
                  span<const int64_t> validation = {})
    {
        detail::call(sslcv_probe_fit_rows, get(), &features, detail::as_many(labels, features.shape[0]), targets,
                     validation.data(), validation.count());
    }
    sslcv_probe_info get_info() const { return detail::ask<sslcv_probe_info>(sslcv_probe_get_info, get()); }
    array predict(const tensor &features) const { return detail::made(sslcv_probe_predict, get(), &features); }
    sslcv_metrics evaluate(const sslcv_embed_options &train, const sslcv_embed_options &test)
    {
        return detail::ask<sslcv_metrics>(sslcv_probe_evaluate, get(), &train, &test);
    }
    void watch(trainer &run, const std::string &name, const sslcv_embed_options &train, const sslcv_embed_options &test,
               int64_t epochs = 1)
    {
        detail::call(sslcv_probe_watch, get(), run.get(), name.c_str(), &train, &test, epochs);
    }
};

/** Judge a network that ends in a classifier. */
inline sslcv_metrics classify(const sslcv_embed_options &test)
{
    return detail::ask<sslcv_metrics>(sslcv_classifier_evaluate, &test);
}

inline void watch_classifier(trainer &run, const std::string &name, const sslcv_embed_options &test, int64_t epochs = 1)
{
    detail::call(sslcv_classifier_watch, run.get(), name.c_str(), &test, epochs);
}

/** confusion, where given: classes * classes counts, [truth][prediction]. */
inline sslcv_metrics compute_metrics(const context &owner, const tensor &scores, span<const int64_t> labels,
                                     std::vector<int64_t> *confusion = nullptr)
{
    sslcv_metrics result = detail::sized<sslcv_metrics>();
    if (confusion) confusion->resize(static_cast<size_t>(scores.shape[1] * scores.shape[1]));
    detail::call(sslcv_metrics_compute, owner.get(), &scores, detail::as_many(labels, scores.shape[0]), &result,
                 confusion ? confusion->data() : nullptr);
    return result;
}

/** labels or targets, as the figure wants. */
inline sslcv_figure_value compute_figure(const context &owner, const tensor &scores, span<const int64_t> labels,
                                         const sslcv_figure_options &options, const tensor *targets = nullptr,
                                         std::vector<double> *per_class = nullptr)
{
    sslcv_figure_value result = detail::sized<sslcv_figure_value>();
    if (per_class) per_class->resize(static_cast<size_t>(scores.shape[1]));
    detail::call(sslcv_figure_compute, owner.get(), &scores, detail::as_many(labels, scores.shape[0]), targets,
                 &options, &result, per_class ? per_class->data() : nullptr);
    return result;
}

inline sslcv_spread compute_spread(const context &owner, const tensor &features)
{
    return detail::ask<sslcv_spread>(sslcv_spread_compute, owner.get(), &features);
}

/** k rows of features for each query, nearest first, one query after the other. */
struct neighbours {
    std::vector<int64_t> indices;
    std::vector<float> similarities;
};

inline neighbours nearest(const context &owner, const tensor &features, const tensor &queries, int64_t k)
{
    neighbours result;
    result.indices.resize(static_cast<size_t>(queries.shape[0] * k));
    result.similarities.resize(result.indices.size());
    detail::call(sslcv_nearest, owner.get(), &features, &queries, k, result.indices.data(), result.similarities.data());
    return result;
}

inline double nmi(const context &owner, span<const int64_t> a, span<const int64_t> b)
{
    double value = 0;
    if (a.size() != b.size()) throw std::invalid_argument("as many labels in a as in b");
    detail::call(sslcv_nmi, owner.get(), a.data(), b.data(), a.count(), &value);
    return value;
}

struct clusters {
    array centroids;
    std::vector<int64_t> assignments;
    double objective = 0;
};

/** from: centroids to begin with, where options.warm_start is 1. */
inline clusters kmeans(const context &owner, const tensor &features, const sslcv_kmeans_options &options,
                       array from = {})
{
    clusters result;
    result.centroids = from.shape.empty() ? array({options.clusters, features.shape[1]}) : std::move(from);
    result.assignments.resize(static_cast<size_t>(features.shape[0]));
    tensor moved = result.centroids.view();
    detail::call(sslcv_kmeans, owner.get(), &features, &options, &moved, result.assignments.data(), &result.objective);
    return result;
}

inline array pca_whiten(const context &owner, const tensor &features, int64_t k, bool normalize = false)
{
    array reduced({features.shape[0], k});
    tensor filled = reduced.view();
    detail::call(sslcv_pca_whiten, owner.get(), &features, normalize, &filled);
    return reduced;
}

/* ---- ONNX ---- */

using onnx_options = detail::defaults<sslcv_onnx_options, sslcv_onnx_options_init>;

inline void save_onnx(const sslcv_branch &networks, const std::string &path,
                      const sslcv_onnx_options &options = onnx_options())
{
    detail::call(sslcv_onnx_save, &networks, path.c_str(), &options);
}
inline void save_onnx(const sslcv_branch &networks, std::ostream &out, sslcv_onnx_options options = onnx_options())
{
    const sslcv_stream stream = detail::stream_of(out);
    options.stream = &stream;
    detail::call(sslcv_onnx_save, &networks, nullptr, &options);
}

/* ---- scalars ---- */

class scalars : public handle<sslcv_scalars, sslcv_scalars_destroy> {
  public:
    using handle::handle;
    /** format: SSLCV_SCALARS_*. */
    scalars(const context &owner, const std::string &path, int32_t format = SSLCV_SCALARS_JSON_LINES)
        : handle(detail::create<sslcv_scalars>(sslcv_scalars_open, owner.get(), format, path.c_str()))
    {
    }
    void add(int64_t step, const std::string &name, double value)
    {
        detail::call(sslcv_scalars_add, get(), step, name.c_str(), value);
    }
    void watch(trainer &run, int64_t steps = 1) { detail::call(sslcv_scalars_watch, get(), run.get(), steps); }
};

} // namespace sslcv

#endif
