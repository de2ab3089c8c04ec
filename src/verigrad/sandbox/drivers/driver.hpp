// Between the judge and a function in C++: what `driver.h` is for C, for containers as well and with exceptions.

#include <exception>
#include <map>
#include <new>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "driver.h"

namespace verigrad_driver {

template <class T> struct Read {
    static T value() {
        if constexpr (std::is_same_v<T, char>) return verigrad_char();
        else if constexpr (std::is_floating_point_v<T>) return static_cast<T>(verigrad_float());
        else if constexpr (std::is_signed_v<T>) return static_cast<T>(verigrad_signed());
        else return static_cast<T>(verigrad_unsigned());
    }
};

template <class T> T read() { return Read<T>::value(); }

template <> struct Read<std::string> {
    static std::string value() { return verigrad_text(); }
};

template <class A, class B> struct Read<std::pair<A, B>> {
    static std::pair<A, B> value() {
        A first = read<A>();
        return {std::move(first), read<B>()};
    }
};

template <class... T> struct Read<std::tuple<T...>> {
    static std::tuple<T...> value() { return std::tuple<T...>{read<T>()...}; }
};

template <class C> struct ReadMany {
    static C value() {
        C items;
        for (std::size_t left = verigrad_count(); left > 0; left--) items.insert(items.end(), read<typename C::value_type>());
        return items;
    }
};

template <class T> struct Read<std::vector<T>> : ReadMany<std::vector<T>> {};
template <class T> struct Read<std::set<T>> : ReadMany<std::set<T>> {};
template <class T> struct Read<std::unordered_set<T>> : ReadMany<std::unordered_set<T>> {};

template <class M> struct ReadMap {
    static M value() {
        M items;
        for (std::size_t left = verigrad_count(); left > 0; left--) {
            auto key = read<typename M::key_type>();
            items[key] = read<typename M::mapped_type>();
        }
        return items;
    }
};

template <class K, class V> struct Read<std::map<K, V>> : ReadMap<std::map<K, V>> {};
template <class K, class V> struct Read<std::unordered_map<K, V>> : ReadMap<std::unordered_map<K, V>> {};

inline void put(const char *text) { verigrad_put_text(text); }
inline void put(const std::string &text) { verigrad_put_bytes(text.data(), text.size()); }
template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0> void put(T value);
template <class A, class B> void put(const std::pair<A, B> &parts);
template <class... T> void put(const std::tuple<T...> &parts);
template <class C, class = typename C::const_iterator> void put(const C &items);

template <class T, std::enable_if_t<std::is_arithmetic_v<T>, int>> void put(T value) {
    if constexpr (std::is_same_v<T, bool>) verigrad_put_bool(value);
    else if constexpr (std::is_same_v<T, char>) verigrad_put_char(value);
    else if constexpr (std::is_floating_point_v<T>) verigrad_put_float(static_cast<double>(value));
    else if constexpr (std::is_signed_v<T>) verigrad_put_signed(value);
    else verigrad_put_unsigned(value);
}

template <class... T> void put_parts(const T &...parts) {
    const char *before = "[";
    ((std::fputs(before, verigrad_out), put(parts), before = ", "), ...);
    std::fputs("]", verigrad_out);
}

template <class A, class B> void put(const std::pair<A, B> &parts) { put_parts(parts.first, parts.second); }

template <class... T> void put(const std::tuple<T...> &parts) {
    std::apply([](const auto &...each) { put_parts(each...); }, parts);
}

template <class C, class> void put(const C &items) {
    const char *before = "[";
    for (auto place = items.begin(); place != items.end(); ++place) {
        std::fputs(before, verigrad_out);
        put(static_cast<const typename C::value_type &>(*place));
        before = ", ";
    }
    std::fputs(items.begin() == items.end() ? "[]" : "]", verigrad_out);
}

inline void fail(const char *kind, const char *text) {
    std::fprintf(verigrad_out, "%s\n{\"%s\": ", verigrad_nonce, kind);
    verigrad_put_text(text);
    verigrad_close();
}

template <class F> void answer(F function) {
    try {
        const auto value = function();
        verigrad_open();
        put(value);
    } catch (const std::bad_alloc &error) {
        fail("memory", error.what());
    } catch (const std::exception &error) {
        fail("exception", error.what());
    } catch (...) {
        fail("exception", "something that is no std::exception was thrown");
    }
    verigrad_close();
}

}  // namespace verigrad_driver
