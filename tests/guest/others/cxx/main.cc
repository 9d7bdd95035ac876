// A static C++ program: exceptions through many frames and in threads, thread-local objects, futures, streams.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

std::atomic<int> checks, failures, destroyed;

void check(bool good, const char *what)
{
    checks++;
    if (good) return;
    failures++;
    std::cout << "FAIL others-cxx: " << what << std::endl;
}

struct Counted {
    ~Counted() { destroyed++; }
};

int dive(int depth)
{
    Counted here;
    if (depth == 0) throw std::runtime_error("at the bottom");
    return dive(depth - 1) + 1;
}

void exceptions()
{
    bool is_caught = false;
    try {
        dive(500);
    } catch (const std::exception &error) {
        is_caught = std::string(error.what()) == "at the bottom";
    }
    check(is_caught, "an exception through 500 frames");
    check(destroyed == 501, "every frame was cleaned up");
    int again = 0;
    for (int i = 0; i < 1000; i++) {
        try {
            try {
                throw i;
            } catch (...) {
                throw;
            }
        } catch (int number) {
            again += number == i;
        }
    }
    check(again == 1000, "caught, thrown again and caught");
    try {
        std::vector<int>().at(5);
        check(false, "at() throws");
    } catch (const std::out_of_range &) {
        check(true, "at() throws");
    }
}

thread_local std::string own = "fresh";

void threads()
{
    std::vector<std::thread> list;
    std::atomic<int> good{0}, caught{0};
    for (int i = 0; i < 16; i++) {
        list.emplace_back([&, i] {
            if (own == "fresh") good++;
            own = std::to_string(i);
            try {
                dive(50);
            } catch (const std::runtime_error &) {
                caught++;
            }
        });
    }
    for (auto &thread : list) thread.join();
    check(good == 16 && own == "fresh", "thread-local objects");
    check(caught == 16, "exceptions in sixteen threads at once");
}

void futures()
{
    auto value = std::async(std::launch::async, [] { return 42; });
    auto error = std::async(std::launch::async, []() -> int { throw std::logic_error("no"); });
    check(value.get() == 42, "a future's value");
    try {
        error.get();
        check(false, "a future's exception");
    } catch (const std::logic_error &) {
        check(true, "a future's exception");
    }
    std::mutex mutex;
    std::condition_variable condition;
    bool is_ready = false;
    std::thread thread([&] {
        std::lock_guard<std::mutex> guard(mutex);
        is_ready = true;
        condition.notify_one();
    });
    std::unique_lock<std::mutex> lock(mutex);
    condition.wait(lock, [&] { return is_ready; });
    lock.unlock();
    thread.join();
    check(is_ready, "a condition variable");
    std::once_flag once;
    int runs = 0;
    for (int i = 0; i < 5; i++) std::call_once(once, [&] { runs++; });
    check(runs == 1, "call_once");
}

void streams()
{
    std::string path = "/tmp/others-cxx." + std::to_string(std::hash<std::thread::id>()(std::this_thread::get_id()));
    std::ofstream(path) << "alpha 1\nbeta 2\n";
    std::ifstream in(path);
    std::map<std::string, int> found;
    std::string word;
    for (int number; in >> word >> number;) found[word] = number;
    check(found.size() == 2 && found["beta"] == 2, "a file through streams");
    check(std::remove(path.c_str()) == 0, "removed");
    std::ostringstream out;
    out << std::hex << 255 << ' ' << 1.5;
    check(out.str() == "ff 1.5", "formatting");
}

} // namespace

int main()
{
    exceptions();
    threads();
    futures();
    streams();
    if (failures > 0) {
        std::cout << "FAIL others-cxx: " << failures << " of " << checks << " checks failed" << std::endl;
        return 1;
    }
    std::cout << "ok others-cxx " << checks << " checks" << std::endl;
    return 0;
}
