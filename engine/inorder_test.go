package main

import (
	"sync"
	"testing"
)

// TestOrdersAreFollowedInTheirOrder has calls that come while others wait.
func TestOrdersAreFollowedInTheirOrder(t *testing.T) {
	t.Parallel()
	var queue inOrder
	var done sync.WaitGroup
	var got []int
	first := make(chan struct{})
	done.Add(100)
	for i := range 100 {
		queue.run(func() {
			defer done.Done()
			if i == 0 {
				<-first
			}
			got = append(got, i)
		})
	}
	close(first)
	done.Wait()
	for i, each := range got {
		if i != each {
			t.Fatalf("the order was %v", got)
		}
	}
	done.Add(1)
	queue.run(done.Done)
	done.Wait()
}
