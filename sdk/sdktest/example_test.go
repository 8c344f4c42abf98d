package sdktest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/fanfold/fanfold/sdk"
	"github.com/fanfold/fanfold/sdk/sdktest"
)

// A node in this process, in real time: for examples and benchmarks. In a test, Run and NewCluster have
// virtual time.
func ExampleStart() {
	c, err := sdktest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	c.StartWorker(sdk.WorkerConfig{}, squares)
	job, err := squares.Submit(context.Background(), c.Client(), 3)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Await(context.Background()))
	// Output: 14 <nil>
}
