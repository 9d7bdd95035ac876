// A static Go program: goroutines, channels, timers, the garbage collector, files, a child process.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var checks, failures int64

func check(good bool, what string) {
	atomic.AddInt64(&checks, 1)
	if !good {
		atomic.AddInt64(&failures, 1)
		fmt.Printf("FAIL others-go: %s\n", what)
	}
}

func goroutines() {
	var group sync.WaitGroup
	var total int64
	numbers := make(chan int64, 16)
	for i := 0; i < 1000; i++ {
		group.Add(1)
		go func(i int64) {
			defer group.Done()
			numbers <- i
		}(int64(i))
	}
	go func() {
		group.Wait()
		close(numbers)
	}()
	for number := range numbers {
		total += number
	}
	check(total == 1000*999/2, "a thousand goroutines")
}

func timers() {
	start := time.Now()
	time.Sleep(20 * time.Millisecond)
	check(time.Since(start) >= 20*time.Millisecond, "sleep")
	ticker := time.NewTicker(5 * time.Millisecond)
	for i := 0; i < 3; i++ {
		<-ticker.C
	}
	ticker.Stop()
	select {
	case <-time.After(10 * time.Millisecond):
	case <-time.After(60 * time.Second):
		check(false, "the earlier timer comes first")
	}
	check(time.Since(start) >= 40*time.Millisecond, "ticker and timer")
}

type node struct {
	left, right *node
	payload     [64]byte
}

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func collector() {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < 20; j++ {
				check(tree(10).count() == 2047, "a tree")
			}
		}()
	}
	group.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	check(after.NumGC > before.NumGC, "the collector ran")
}

func preemption() {
	done := make(chan bool)
	var stop int32
	for i := 0; i < runtime.GOMAXPROCS(0)+1; i++ {
		go func() { // no call in the loop: only a signal can stop it
			for atomic.LoadInt32(&stop) == 0 {
			}
			done <- true
		}()
	}
	time.Sleep(5 * time.Millisecond)
	runtime.GC()
	atomic.StoreInt32(&stop, 1)
	for i := 0; i < runtime.GOMAXPROCS(0)+1; i++ {
		<-done
	}
	check(true, "busy goroutines were preempted")
}

func faults() {
	defer func() {
		check(recover() != nil, "a nil dereference is a panic")
	}()
	var missing *node
	_ = missing.payload[3]
}

func signals() {
	incoming := make(chan os.Signal, 1)
	signal.Notify(incoming, syscall.SIGUSR1)
	check(syscall.Kill(os.Getpid(), syscall.SIGUSR1) == nil, "kill")
	check(<-incoming == syscall.SIGUSR1, "the signal came through the channel")
}

func files() {
	folder, err := os.MkdirTemp("/tmp", "others-go")
	check(err == nil, "a folder")
	defer os.RemoveAll(folder)
	name := folder + "/file"
	check(os.WriteFile(name, []byte("content"), 0600) == nil, "write")
	text, err := os.ReadFile(name)
	check(err == nil && string(text) == "content", "read back")
	_, err = os.Stat(folder + "/missing")
	check(errors.Is(err, os.ErrNotExist), "a missing file")
	entries, err := os.ReadDir(folder)
	check(err == nil && len(entries) == 1 && entries[0].Name() == "file", "the folder's entries")
}

func children() {
	for i := 0; i < 5; i++ {
		output, err := exec.Command("/proc/self/exe", "child").Output()
		check(err == nil && string(output) == "child speaking\n", "a child's output")
	}
	err := exec.Command("/proc/self/exe", "fail").Run()
	var exit *exec.ExitError
	check(errors.As(err, &exit) && exit.ExitCode() == 3, "a child's exit code")
}

func main() {
	if len(os.Args) > 1 {
		if os.Args[1] == "fail" {
			os.Exit(3)
		}
		fmt.Println("child speaking")
		return
	}
	goroutines()
	timers()
	collector()
	preemption()
	faults()
	signals()
	files()
	children()
	if failures > 0 {
		fmt.Printf("FAIL others-go: %d of %d checks failed\n", failures, checks)
		os.Exit(1)
	}
	fmt.Printf("ok others-go %d checks\n", checks)
}
